import Access
import AdminAPI
import Base
import Metadata
import Runtime
import Signing
import TestSupport
import Testing

/// The Admin API as its client sees it.
struct AdminServiceTests {
  @Test("Only a right signature of an administrator opens the door, and failures look alike")
  func authentication() async throws {
    let fixture = try AdminFixture()
    let ann = try await fixture.user("ann", role: .user)
    let dan = try await fixture.user("dan", role: .administrator)
    try await fixture.access.setDisabled("dan", true)
    try await fixture.serving { root in
      #expect(try await root.send("GET", "users").status == 200)
      func changed(_ change: (inout AdminTestClient) -> Void) -> AdminTestClient {
        var client = root
        change(&client)
        return client
      }
      let paths = ["users", "keys", "status", "backup", "master-key", "scrub", "nothing"]
      let refused: [(String, AdminTestClient, Int)] = [
        ("secret", changed { $0.secret += "x" }, 401),
        ("unknown", changed { $0.id = "NOBODY" }, 401),
        ("disabled", changed { ($0.id, $0.secret) = (dan.id, dan.secret) }, 401),
        ("user", changed { ($0.id, $0.secret) = (ann.id, ann.secret) }, 403),
        ("region", changed { $0.region = "eu-west-1" }, 401),
        ("service", changed { $0.service = "s3" }, 401),
        ("early", changed { $0.skewSeconds = -1000 }, 401),
        ("late", changed { $0.skewSeconds = 1000 }, 401),
        ("unsigned body", changed { $0.payload = .unsigned }, 401),
        ("chunks", changed { $0.payload = .signedChunks }, 401),
      ]
      for (name, client, status) in refused {
        for path in paths {
          let answer = try await client.send("GET", path)
          #expect(answer.status == status, "\(name) \(path)")
          #expect(answer.json?["error"]?.text?.isEmpty == false)
        }
      }
      let wrong = try await refused[0].1.send("GET", "users").json?["details"]
      #expect(try await refused[1].1.send("GET", "users").json?["details"] == wrong)
      #expect(try await refused[2].1.send("GET", "users").json?["details"] == wrong)
      let stranger = FilesClient(fixture.port, bearer: nil)
      #expect(try await stranger.send("GET", "/admin/v1/users").status == 401)
      #expect(try await stranger.send("GET", "/").status == 404)
    }
  }

  @Test("The signature covers the body, and the body is bounded")
  func body() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let other = try await root.send(
        "POST", "users", json: "{\"name\":\"ann\"}", sending: "{\"name\":\"bob\"}")
      #expect(other.status == 400)
      let large = String(repeating: " ", count: AdminSigning.maximumBodyBytes + 1)
      #expect(try await root.send("POST", "users", json: large).status == 413)
      for json in [
        "{", "[]", "1", "{}", "{\"name\":1}", "{\"name\":\"a\",\"x\":1}", "{\"name\":\"a b\"}",
        "{\"name\":\"a\",\"name\":\"b\"}", "{\"name\":\"a\",\"role\":\"king\"}",
        "{\"name\":\"a\",\"email\":\"x\"}",
      ] {
        #expect(try await root.send("POST", "users", json: json).status == 400, "\(json)")
      }
      #expect(try await fixture.access.users().map(\.name) == ["chief"])
    }
  }

  @Test("Users are made, listed, disabled and enabled")
  func users() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let made = try await root.send(
        "POST", "users", json: "{\"name\":\"a@x\",\"email\":\"a@x.org\",\"role\":\"administrator\"}"
      )
      #expect(made.status == 201)
      #expect(made.json?["role"]?.text == "administrator")
      #expect(try await root.send("POST", "users", json: "{\"name\":\"a@x\"}").status == 409)
      let off = try await root.send("POST", "users/a%40x/disable")
      #expect(off.status == 200 && off.json?["disabled"]?.bool == true)
      #expect(try await root.send("POST", "users/a%40x/enable").json?["disabled"] == false)
      #expect(try await root.send("POST", "users/chief/disable").status == 409)
      #expect(try await root.send("POST", "users/nobody/disable").status == 404)
      #expect(try await root.send("POST", "users/a%40x/promote").status == 404)
      #expect(try await root.send("DELETE", "users/a%40x").status == 404)
      let list = try await root.send("GET", "users").json?["users"]?.elements
      #expect(list?.compactMap { $0["name"]?.text } == ["a@x", "chief"])
    }
  }

  @Test("Keys are made at random or as given, listed without secrets, and revoked")
  func keys() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      _ = try await root.send("POST", "users", json: "{\"name\":\"ann\"}")
      let made = try await root.send("POST", "keys", json: "{\"user\":\"ann\"}")
      #expect(made.status == 201)
      let id = try #require(made.json?["access_key"]?.text)
      let secret = try #require(made.json?["secret_key"]?.text)
      #expect(try await fixture.access.bearer("\(id):\(secret)").user.name == "ann")
      let given = try await root.send(
        "POST", "keys",
        json: "{\"user\":\"ann\",\"access_key\":\"GIVEN\",\"secret_key\":\"secret-1\","
          + "\"note\":\"n\",\"expires_at\":\"2999-01-01\"}")
      #expect(given.status == 201)
      _ = try await fixture.access.bearer("GIVEN:secret-1")
      for json in [
        "{\"user\":\"nobody\"}", "{\"user\":\"ann\",\"access_key\":\"X12\"}",
        "{\"user\":\"ann\",\"access_key\":\"GIVEN\",\"secret_key\":\"secret-2\"}",
        "{\"user\":\"ann\",\"expires_at\":\"2001-01-01\"}",
        "{\"user\":\"ann\",\"expires_at\":\"soon\"}",
        "{\"user\":\"ann\",\"access_key\":\"G\",\"secret_key\":\"s\"}", "{}",
      ] {
        let status = try await root.send("POST", "keys", json: json).status
        #expect((400...409).contains(status), "\(json)")
      }
      let list = try await root.send("GET", "keys", query: "user=ann")
      #expect(list.json?["keys"]?.elements?.count == 2)
      #expect(!list.text.contains(secret) && !list.text.contains("secret"))
      #expect(try await root.send("GET", "keys").json?["keys"]?.elements?.count == 3)
      #expect(try await root.send("GET", "keys", query: "user=nobody").status == 404)
      #expect(try await root.send("DELETE", "keys/GIVEN").status == 200)
      await #expect(throws: AccessError.self) {
        try await fixture.access.bearer("GIVEN:secret-1")
      }
      #expect(try await root.send("DELETE", "keys/NOKEY").status == 404)
    }
  }

  @Test("A list of keys tells whose they are, and which are good")
  func keyList() async throws {
    let fixture = try AdminFixture()
    _ = try await fixture.user("ann", role: .user)
    let past = Timestamp(seconds: 1_700_000_000)
    for (id, expires) in [("GOOD", nil), ("LATE", past), ("GONE", nil)] {
      _ = try await fixture.access.createKey(
        user: "ann", id: id, secret: "secret-of-\(id)", note: "for \(id)", expires: expires)
    }
    try await fixture.serving { root in
      _ = try await root.fetch("DELETE", "keys/GONE")
      let list = try await root.fetch("GET", "keys")["keys"]?.elements ?? []
      let keys = Dictionary(grouping: list) { $0["access_key"]?.text ?? "" }
      for (id, status) in [("GOOD", "active"), ("LATE", "expired"), ("GONE", "revoked")] {
        let key = try #require(keys[id]?.first)
        #expect(key["status"]?.text == status && key["user"]?.text == "ann")
        #expect(key["note"]?.text == "for \(id)")
        #expect(key["expires_at"]?.text == (id == "LATE" ? past.iso8601 : nil))
      }
      #expect(list.contains { $0["user"]?.text == "chief" })
    }
  }

  @Test("Status tells stores, space by device, counts and what can be lost")
  func status() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let status = try #require(try await root.send("GET", "status").json)
      #expect(status["version"]?.text == "test")
      #expect(status["scheme"]?.text == "4+2")
      #expect(status["stores"]?.elements?.count == 6)
      // Three devices: the space of each counts once.
      #expect(status["space"]?["capacity"]?.integer == 3000)
      #expect(status["failure_domain"]?["devices"]?.integer == 3)
      #expect(status["failure_domain"]?["tolerable_device_losses"]?.integer == 1)
      #expect(status["failure_domain"]?["tolerable_store_losses"]?.integer == 2)
      #expect(status["counts"]?["objects"]?.integer == 0)
      #expect(status["sweep_held"]?.bool == false)
      #expect(status["master_key_exported"]?.bool == false)
    }
  }

  @Test("A scrub is started and followed; workers are listed")
  func work() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      #expect(try await root.send("GET", "scrub").json?["state"]?.text == "idle")
      let started = try await root.send("POST", "scrub")
      #expect(started.status == 202 && started.json?["state"]?.text == "running")
      fixture.process.state.withLock { state in
        state.scrub.state = .failed("why")
        state.scrub.unreadableExtents = 1
      }
      let ended = try await root.send("GET", "scrub").json
      #expect(ended?["state"]?.text == "failed" && ended?["reason"]?.text == "why")
      #expect(ended?["clean"]?.bool == false)
      fixture.process.state.withLock { state in
        state.scrub.state = .finished
        state.scrub.finished = Timestamp(seconds: 7)
        state.scrub.unreadableExtents = 0
        state.scrub.repairedChunks = 2
      }
      let clean = try await root.fetch("GET", "scrub")
      #expect(clean["state"]?.text == "finished" && clean["clean"]?.bool == true)
      #expect(clean["finished_at"]?.text == Timestamp(seconds: 7).iso8601)
      #expect(clean["repaired_chunks"]?.integer == 2 && clean["reason"] == .null)
      let workers = try await root.send("GET", "workers").json?["workers"]?.elements
      #expect(workers?.first?["name"]?.text == "repair")
      #expect(workers?.first?["items_done"]?.integer == 5)
      #expect(workers?.first?["detail"]?.text == "one more")
    }
  }

  @Test("A backup is streamed whole and let go of")
  func backup() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let answer = try await root.send("GET", "backup")
      #expect(answer.status == 200 && answer.body == FakeProcess.copy)
      #expect(answer.header("content-length") == "\(FakeProcess.copy.count)")
      #expect(try await root.send("HEAD", "backup").status == 404)
      try await eventually { fixture.process.state.withLock { $0.openBackups } == 0 }
    }
  }

  @Test("An export of the master key is remembered until the next rotation")
  func masterKey() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      func isExported() async throws -> Bool? {
        try await root.send("GET", "status").json?["master_key_exported"]?.bool
      }
      let first = try await root.send("GET", "master-key").json
      #expect(first?["master_key"]?.text == "key 1")
      #expect(try await isExported() == true)
      #expect(try await root.send("POST", "master-key/rotate").status == 200)
      #expect(try await isExported() == false)
      let second = try await root.send("GET", "master-key").json
      #expect(second?["master_key"]?.text == "key 2")
      #expect(try await root.send("POST", "master-key/rotate", json: "{\"x\":1}").status == 400)
      fixture.process.state.withLock { $0.keyError = .rotationUnfinished }
      #expect(try await root.send("GET", "master-key").status == 409)
      #expect(try await root.send("POST", "master-key/rotate").status == 409)
    }
  }

  @Test("What a process does not have is 404")
  func notProvided() async throws {
    let fixture = try AdminFixture(isWhole: false)
    try await fixture.serving { root in
      for (method, path) in [
        ("GET", "scrub"), ("POST", "scrub"), ("GET", "workers"), ("GET", "backup"),
        ("GET", "master-key"), ("POST", "master-key/rotate"),
      ] {
        let answer = try await root.send(method, path)
        #expect(answer.status == 404 && answer.json?["error"]?.text == "not_provided")
      }
    }
  }
}
