import Base
import Sealing
import Testing

@Suite("Key ring")
struct KeyRingTests {
  private static let wrapped =
    "606162636465666768696a6b869cad7494b84d4ae0d055f0670fd94c724a84a4df9f0ababcd36554d6941be6"
    + "defd788cdfecf23dc699ba3abdbd9e64"

  private func stored() throws -> [WrappedKeyEncryptionKey] {
    Fixture.ring().wrapped(under: try Fixture.master(), random: Fixture.counting(from: 0x60))
  }

  private func reads(_ ring: KeyRing, _ sealer: ExtentSealer, _ sealed: [UInt8]) -> Bool {
    let opener = try? ring.opener(for: sealer.extent, wrappedKey: sealer.wrappedKey)
    return (try? opener?.open(sealed, index: 0, isLast: true)) == Array("data".utf8)
  }

  @Test("a wrapped key-encryption key is frozen")
  func knownAnswer() throws {
    let records = try stored()
    #expect(records.map(\.number) == [1])
    #expect(records.map { Hex.encode($0.bytes) } == [Self.wrapped])
  }

  @Test("a stored ring opens with its master key and reads what was sealed before")
  func roundTrip() throws {
    var ring = Fixture.ring()
    let old = ring.sealer(for: Fixture.extent, random: Fixture.counting(from: 0))
    let oldSealed = old.segments.seal(Array("data".utf8), isLast: true)
    #expect(ring.addKey(random: Fixture.counting(from: 0x99)) == 2)
    let new = ring.sealer(for: Fixture.otherExtent, random: Fixture.counting(from: 9))
    let newSealed = new.segments.seal(Array("data".utf8), isLast: true)
    #expect(new.wrappedKey.keyEncryptionKeyNumber == 2)

    let master = try Fixture.master()
    let other = try #require(MasterKey([UInt8](repeating: 8, count: 32)))
    let records = ring.wrapped(under: master, random: Fixture.counting(from: 1))
    let opened = try KeyRing(cluster: Fixture.cluster, master: master, wrapped: records)
    let rotated = opened.wrapped(under: other, random: Fixture.counting(from: 2))
    let afterRotation = try KeyRing(cluster: Fixture.cluster, master: other, wrapped: rotated)
    for ring in [opened, afterRotation] {
      #expect(ring.numbers == [1, 2])
      #expect(ring.currentNumber == 2)
      #expect(reads(ring, old, oldSealed))
      #expect(reads(ring, new, newSealed))
    }
    #expect(throws: SealingError.authenticationFailed) {
      try KeyRing(cluster: Fixture.cluster, master: master, wrapped: rotated)
    }
    #expect(throws: SealingError.unknownKeyEncryptionKey(2)) {
      try Fixture.ring().opener(for: Fixture.otherExtent, wrappedKey: new.wrappedKey)
    }
  }

  @Test("every flipped bit of a wrapped key is noticed")
  func flips() throws {
    let master = try Fixture.master()
    let record = try #require(try stored().first)
    for bit in 0..<record.bytes.count * 8 {
      var bytes = record.bytes
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      let bad = try WrappedKeyEncryptionKey(number: 1, bytes: bytes)
      #expect(throws: SealingError.authenticationFailed) {
        try KeyRing(cluster: Fixture.cluster, master: master, wrapped: [bad])
      }
    }
  }

  @Test("another master key, cluster or number does not open it")
  func bindings() throws {
    let record = try #require(try stored().first)
    let master = try Fixture.master()
    let other = try #require(MasterKey([UInt8](repeating: 8, count: 32)))
    let renumbered = try WrappedKeyEncryptionKey(number: 2, bytes: record.bytes)
    #expect(throws: SealingError.authenticationFailed) {
      try KeyRing(cluster: Fixture.cluster, master: other, wrapped: [record])
    }
    #expect(throws: SealingError.authenticationFailed) {
      try KeyRing(cluster: ClusterID(high: 0, low: 1), master: master, wrapped: [record])
    }
    #expect(throws: SealingError.authenticationFailed) {
      try KeyRing(cluster: Fixture.cluster, master: master, wrapped: [renumbered])
    }
  }

  @Test("a ring without keys, with a double number or records of a wrong shape is refused")
  func shapes() throws {
    let record = try #require(try stored().first)
    let master = try Fixture.master()
    for wrapped in [[], [record, record]] {
      let error = #expect(throws: SealingError.self) {
        try KeyRing(cluster: Fixture.cluster, master: master, wrapped: wrapped)
      }
      guard case .malformed = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
    }
    #expect(throws: FormatError.self) {
      try WrappedKeyEncryptionKey(number: 0, bytes: record.bytes)
    }
    #expect(throws: FormatError.self) {
      try WrappedKeyEncryptionKey(number: 1, bytes: Array(record.bytes.dropLast()))
    }
  }

  @Test("a sealed secret is frozen, opens in its context only, and notices every flipped bit")
  func secrets() throws {
    let ring = Fixture.ring()
    let context = Array("access key AKID".utf8)
    let secret = Array("wJalrXUtnFEMI".utf8)
    let sealed = ring.sealSecret(secret, context: context, random: Fixture.counting(from: 0x80))
    #expect(
      Hex.encode(sealed)
        == "01000000808182838485868788898a8b2d9b959c81e4c0031e42a699876c7c652d2f9b3456a646351d3d95e82d"
    )
    #expect(try ring.openSecret(sealed, context: context) == secret)
    #expect(throws: SealingError.authenticationFailed) {
      try ring.openSecret(sealed, context: Array("access key AKIE".utf8))
    }
    for bit in 0..<sealed.count * 8 {
      var bad = sealed
      bad[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: SealingError.self) { try ring.openSecret(bad, context: context) }
    }
    for count in 0..<sealed.count {
      #expect(throws: SealingError.self) {
        try ring.openSecret(Array(sealed[..<count]), context: context)
      }
    }
    #expect(throws: SealingError.self) {
      try ring.openSecret([1, 0, 0, 0] + [UInt8](repeating: 0, count: 70_000), context: context)
    }
  }
}
