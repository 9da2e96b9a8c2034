import Access
import Base
import Metadata
import MetadataSQLite
import Runtime
import Sealing
@testable import Signing
import Synchronization
import Testing
import TestSupport

/// Users and keys over a real database.
struct AccessControlTests {
  /// One database with the guard of one process; `another` makes that of a further one.
  struct Fixture: Sendable {
    let directory = TemporaryDirectory()
    let database: SQLiteMetadata
    let keys: KeyRing
    let access: AccessControl
    let clock: ManualClock

    init() async throws {
      let clock = ManualClock(seconds: 1_800_000_000)
      self.clock = clock
      database = try await SQLiteMetadata.open(
        path: directory.path + "/m.db", pool: ThreadPool(name: "test-sql", threadCount: 2))
      keys = KeyRing(cluster: ClusterID(high: 1, low: 2), random: SystemRandom().bytes)
      access = AccessControl(
        metadata: database.store, keys: keys, clock: clock, random: SystemRandom())
    }

    func another() -> AccessControl {
      AccessControl(metadata: database.store, keys: keys, clock: clock, random: SystemRandom())
    }
  }

  private static func withFixture(_ body: (Fixture) async throws -> Void) async throws {
    let fixture = try await Fixture()
    do {
      try await body(fixture)
    } catch {
      await fixture.database.close()
      throw error
    }
    await fixture.database.close()
  }

  /// Waits until the guard refuses the token, as it must by itself.
  private static func untilRefused(_ access: AccessControl, _ token: String) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while true {
      do {
        _ = try await access.bearer(token)
      } catch AccessError.invalidKey {
        return
      }
      try #require(ContinuousClock.now < end, "the key was never refused")
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test("A key opens the door as a bearer and as a signer, and tells whose it is")
  func goodKey() async throws {
    try await Self.withFixture { fixture in
      let access = fixture.access
      let user = try await access.createUser(name: "ann", email: "a@x", role: .user)
      let key = try await access.createKey(user: "ann", note: "laptop")
      let identity = try await access.bearer("\(key.id):\(key.secret)")
      #expect(identity.user == user && identity.accessKeyID == key.id)
      #expect(!identity.isAdministrator)
      let scope = CredentialScope(date: "20260102", region: "r", service: "s3")
      let signer = try await access.signer(accessKeyID: key.id, scope: scope)
      #expect(signer.identity == identity)
      let expected = SigningKey(secretKey: key.secret, scope: scope)
      let text = Array("to sign".utf8)
      #expect(signer.key.signature(of: text) == expected.signature(of: text))
      let old = try await access.signer(accessKeyID: key.id, scope: nil)
      #expect(old.identity == identity)
      #expect(
        old.key.signature(of: text)
          == SigningKey(version2: key.secret).signature(of: text))
      let stored = try #require(try await access.accessKeys(user: "ann").first)
      #expect(stored.note == "laptop")
      #expect(stored.sealedSecret.firstRange(of: Array(key.secret.utf8)) == nil)
    }
  }

  @Test("Wrong, unknown and impossible keys are refused alike")
  func badKeys() async throws {
    try await Self.withFixture { fixture in
      _ = try await fixture.access.createUser(name: "ann")
      let key = try await fixture.access.createKey(user: "ann")
      for token in [
        "", ":", key.id, "\(key.id):", "\(key.id):x", "\(key.id):\(key.secret) ",
        "x\(key.id):\(key.secret)", "nobody:\(key.secret)", ":\(key.secret)", "a/b:c",
        "\(key.id)\0:\(key.secret)", String(repeating: "k", count: 600) + ":x",
      ] {
        await #expect(throws: AccessError.invalidKey) { try await fixture.access.bearer(token) }
      }
      let scope = CredentialScope(date: "20260102", region: "r", service: "s3")
      await #expect(throws: AccessError.invalidKey) {
        try await fixture.access.signer(accessKeyID: "nobody", scope: scope)
      }
    }
  }

  @Test("Revoking and disabling count at once here")
  func takesEffectHere() async throws {
    try await Self.withFixture { fixture in
      let access = fixture.access
      _ = try await access.createUser(name: "ann")
      let first = try await access.createKey(user: "ann")
      let second = try await access.createKey(user: "ann")
      _ = try await access.bearer("\(first.id):\(first.secret)")
      try await access.revokeKey(first.id)
      await #expect(throws: AccessError.invalidKey) {
        try await access.bearer("\(first.id):\(first.secret)")
      }
      let token = "\(second.id):\(second.secret)"
      _ = try await access.bearer(token)
      try await access.setDisabled("ann", true)
      await #expect(throws: AccessError.invalidKey) { try await access.bearer(token) }
      try await access.setDisabled("ann", false)
      _ = try await access.bearer(token)
    }
  }

  @Test("Revoking and disabling reach the caches of other processes")
  func takesEffectElsewhere() async throws {
    try await Self.withFixture { fixture in
      let other = fixture.another()
      _ = try await fixture.access.createUser(name: "ann")
      _ = try await fixture.access.createUser(name: "bob")
      let ann = try await fixture.access.createKey(user: "ann")
      let bob = try await fixture.access.createKey(user: "bob")
      _ = try await other.bearer("\(ann.id):\(ann.secret)")
      _ = try await other.bearer("\(bob.id):\(bob.secret)")
      try await fixture.access.revokeKey(ann.id)
      try await fixture.access.setDisabled("bob", true)
      try await Self.untilRefused(other, "\(ann.id):\(ann.secret)")
      try await Self.untilRefused(other, "\(bob.id):\(bob.secret)")
    }
  }

  @Test("A key ends when its time is over, though it is cached")
  func expiry() async throws {
    try await Self.withFixture { fixture in
      let access = fixture.access
      _ = try await access.createUser(name: "ann")
      let key = try await access.createKey(
        user: "ann", expires: fixture.clock.now.advanced(byMilliseconds: 60_000))
      let token = "\(key.id):\(key.secret)"
      _ = try await access.bearer(token)
      fixture.clock.advance(seconds: 60)
      await #expect(throws: AccessError.self) { try await access.bearer(token) }
      let scope = CredentialScope(date: "20260102", region: "r", service: "s3")
      await #expect(throws: AccessError.expired) {
        try await access.signer(accessKeyID: key.id, scope: scope)
      }
    }
  }

  @Test("The root user is made once; preset keys are added, and never silently replaced")
  func root() async throws {
    try await Self.withFixture { fixture in
      let access = fixture.access
      let made = try #require(try await access.ensureRoot(preset: nil))
      #expect(try await access.bearer("\(made.id):\(made.secret)").isAdministrator)
      #expect(try await access.ensureRoot(preset: nil) == nil)
      #expect(try await access.ensureRoot(preset: ("ROOTKEY", "root-secret-1")) == nil)
      #expect(try await access.ensureRoot(preset: ("ROOTKEY", "root-secret-1")) == nil)
      #expect(try await access.bearer("ROOTKEY:root-secret-1").isAdministrator)
      _ = try await access.bearer("\(made.id):\(made.secret)")
      await #expect(throws: AccessError.self) {
        try await access.ensureRoot(preset: ("ROOTKEY", "root-secret-2"))
      }
      _ = try await access.createUser(name: "ann")
      _ = try await access.createKey(user: "ann", id: "ANNKEY", secret: "ann-secret")
      await #expect(throws: AccessError.self) {
        try await access.ensureRoot(preset: ("ANNKEY", "ann-secret"))
      }
      try await access.revokeKey("ROOTKEY")
      await #expect(throws: AccessError.self) {
        try await access.ensureRoot(preset: ("ROOTKEY", "root-secret-1"))
      }
      #expect(try await access.users().map(\.name) == ["ann", "root"])
    }
  }

  @Test(
    "Names and keys that could be misread are refused",
    arguments: [
      ("", "KEY", "secret-secret"), ("a b", "KEY", "secret-secret"), ("a/b", "KEY", "x"),
      ("é", "KEY", "secret-secret"), ("ann", "K", "secret-secret"), ("ann", "K:Y", "secret-x"),
      ("ann", "KE Y", "secret-secret"), ("ann", "KEY", "short"), ("ann", "KEY", "with blank x"),
      ("ann", "KEY", "secret\nsecret"), ("ann", "KEY", String(repeating: "s", count: 129)),
      (String(repeating: "n", count: 65), "KEY", "secret-secret"),
    ])
  func rules(_ name: String, _ id: String, _ secret: String) async throws {
    try await Self.withFixture { fixture in
      await #expect(throws: AccessError.self) {
        _ = try await fixture.access.createUser(name: name)
        _ = try await fixture.access.createKey(user: name, id: id, secret: secret)
      }
      let keys = try await fixture.access.accessKeys(user: nil)
      #expect(keys.isEmpty)
    }
  }

  @Test("A name and a key are given once")
  func duplicates() async throws {
    try await Self.withFixture { fixture in
      let access = fixture.access
      _ = try await access.createUser(name: "ann")
      await #expect(throws: MetadataError.self) { try await access.createUser(name: "ann") }
      _ = try await access.createKey(user: "ann", id: "KEY", secret: "secret-1")
      await #expect(throws: MetadataError.self) {
        try await access.createKey(user: "ann", id: "KEY", secret: "secret-2")
      }
      _ = try await access.bearer("KEY:secret-1")
      await #expect(throws: MetadataError.self) { try await access.createKey(user: "nobody") }
      await #expect(throws: MetadataError.self) { try await access.revokeKey("NOKEY") }
      await #expect(throws: MetadataError.self) { try await access.setDisabled("nobody", true) }
    }
  }

  @Test("A secret that another installation sealed opens nothing")
  func otherInstallation() async throws {
    try await Self.withFixture { fixture in
      _ = try await fixture.access.createUser(name: "ann")
      let key = try await fixture.access.createKey(user: "ann")
      let stranger = AccessControl(
        metadata: fixture.database.store,
        keys: KeyRing(cluster: ClusterID(high: 9, low: 9), random: SystemRandom().bytes),
        clock: fixture.clock, random: SystemRandom())
      await #expect(throws: (any Error).self) {
        try await stranger.bearer("\(key.id):\(key.secret)")
      }
    }
  }
}
