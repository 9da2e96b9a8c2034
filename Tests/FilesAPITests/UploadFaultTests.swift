import Base
import ChunkStore
import FilesAPI
import Metadata
import Runtime
import TestSupport
import Testing

/// Uploads that go wrong, and reads of what is damaged.
struct UploadFaultTests {
  private static func head(_ token: String, length: Int) -> [UInt8] {
    Array(
      ("POST /files HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer \(token)\r\n"
        + "\(Form.contentType.0): \(Form.contentType.1)\r\nContent-Length: \(length)\r\n\r\n").utf8)
  }

  private static func states(_ fixture: FilesFixture) -> [[FileRecord.State]] {
    fixture.metadata.state.withLock { Array($0.fileStates.values) }
  }

  @Test("A form without a good file is refused and nothing is left of it")
  func badForms() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let file = Form.Part.file(name: "a", [1, 2, 3])
      let whole = Form.make([file])
      let forms: [[UInt8]] = [
        [], Array("x".utf8), Form.make([]), Form.make([.field("note", [1])]),
        Form.make([.field("file", [1])]), Form.make([.file(name: "..", [1])]),
        Form.make([.file(name: "", [1])]), Form.make([.file(name: "a\u{1}b", [1])]),
        Form.make([.file(name: String(repeating: "x", count: 256), [1])]),
        Form.make([file, file]),
        Form.make([.field("x", [UInt8](repeating: 0, count: 70_000)), file]),
        Form.make((0..<40).map { .field("f\($0)", []) } + [file]), Array(whole.dropLast(4)),
        whole + [UInt8](repeating: 0x0d, count: 2000),
        Form.make([file, Form.Part(head: "X: y\r\n", content: [])]),
      ]
      for (index, form) in forms.enumerated() {
        let answer = try await client.send(
          "POST", "/files", headers: [Form.contentType], body: form)
        #expect(answer.status == 400, "form \(index): \(answer.text)")
      }
      for type in ["text/plain", "multipart/form-data", "multipart/mixed; boundary=x", ""] {
        let answer = try await client.send(
          "POST", "/files", headers: [("Content-Type", type)], body: whole)
        #expect(answer.status == 400, "\(type)")
      }
      #expect(try await client.send("POST", "/files", body: whole).status == 400)
      #expect(fixture.metadata.state.withLock { $0.versions.isEmpty })
      #expect(Self.states(fixture).allSatisfy { $0.last == .failed })
      #expect(try await client.send("GET", "/files?status=completed").json?["total"] == 0)
    }
  }

  @Test("Other fields before and behind the file do not matter")
  func otherFields() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let form = Form.make([
        .field("note", Array("hello".utf8)), .file(name: "../x/a", [7, 8]), .field("z", []),
      ])
      let answer = try await client.send(
        "POST", "/files", headers: [Form.contentType], body: form)
      #expect(answer.status == 201)
      #expect(answer.json?["name"]?.text == "a")
      #expect(answer.json?["content_type"]?.text == "application/octet-stream")
      #expect(answer.json?["size"]?.integer == 2)
    }
  }

  @Test("The limit is exact, announced or not", arguments: [true, false])
  func sizeLimit(_ isAnnounced: Bool) async throws {
    let fixture = try FilesFixture { $0.maximumFileSize = 3_000_000 }
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let zeros = [UInt8](repeating: 0, count: 3_000_000)
      #expect(try await client.upload(zeros).status == 201)
      let larger = zeros + (isAnnounced ? [UInt8](repeating: 0, count: 2 << 20) : [1])
      let answer = try await client.upload(larger)
      #expect(answer.status == 413)
      #expect(answer.json?["error"]?.text == "too_large")
      #expect(fixture.metadata.state.withLock { $0.versions.count } == 1)
      let failed = Self.states(fixture).count { $0.last == .failed }
      #expect(failed == (isAnnounced ? 0 : 1))
    }
  }

  @Test("A client that leaves in mid-body leaves a failed upload and nothing else")
  func clientLeaves() async throws {
    let fixture = try FilesFixture()
    let token = try await fixture.user("ann")
    let client = FilesClient(fixture.port, bearer: token)
    try await fixture.serving {
      let form = Form.make([.file(name: "a", [UInt8](repeating: 9, count: 5_000_000))])
      let bytes = Self.head(token, length: form.count) + form.prefix(3_000_000)
      try await client.sendAndLeave(bytes) {
        Self.states(fixture).first?.last == .uploading
      }
      try await eventually { Self.states(fixture).first?.last == .failed }
      #expect(fixture.metadata.state.withLock { $0.versions.isEmpty })
      let total = try await client.send("GET", "/files?status=failed").json?["total"]
      #expect(total == 1)
    }
  }

  @Test("A long upload is recorded as alive from time to time")
  func touches() async throws {
    let fixture = try FilesFixture { $0.touchMilliseconds = 1 }
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      #expect(try await client.upload([UInt8](repeating: 1, count: 8_000_000)).status == 201)
      let states = try #require(Self.states(fixture).first)
      #expect(states.count { $0 == .uploading } > 1)
      #expect(states.last == .completed)
    }
  }

  @Test(
    "When metadata fails the answer is 503, and only an unknown outcome leaves something",
    arguments: [
      ("bucket", MetadataError.unavailable("x"), nil), ("createFile", .full, nil),
      ("commit", .unavailable("x"), .failed), ("commit", .full, .failed),
      ("commit", .unknownOutcome, .uploading),
      ("updateFile uploading", .unavailable("x"), .failed),
      ("updateFile completed", .unavailable("x"), .failed),
      ("updateFile completed", .unknownOutcome, .uploading),
    ] as [(String, MetadataError, FileRecord.State?)])
  func metadataFails(
    _ name: String, _ error: MetadataError, _ left: FileRecord.State?
  ) async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    fixture.metadata.fail(name, error)
    try await fixture.serving {
      let answer = try await client.upload([1, 2, 3])
      #expect(answer.status == 503)
      #expect(answer.header("retry-after") != nil)
      #expect(answer.text.contains("\"x\"") == false)
      #expect(Self.states(fixture).first?.last == left)
      let isKept = name == "updateFile completed" && left == .uploading
      #expect(fixture.metadata.state.withLock { $0.versions.isEmpty } == !isKept)
      if left == .uploading {
        let id = try #require(fixture.metadata.state.withLock { $0.files.keys.first })
        #expect(try await client.send("GET", "/files/\(id)").status == 409)
        #expect(try await client.send("DELETE", "/files/\(id)").status == 409)
        #expect(try await client.send("GET", "/files/\(id)/metadata").json?["chunks"] == [])
      }
    }
  }

  @Test("Too few stores, or full ones, are 503 with a time to come back")
  func storesFail() async throws {
    for (error, code) in [
      (ChunkStoreError.full, "storage_full"), (.offline("x"), "storage_unavailable"),
    ] {
      let fixture = try FilesFixture()
      let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
      try await fixture.serving {
        fixture.stores[0].fail(error)
        #expect(try await client.upload([1]).status == 201)
        for store in fixture.stores { store.fail(error) }
        let answer = try await client.upload([1])
        #expect(answer.status == 503)
        #expect(answer.json?["error"]?.text == code)
        #expect(answer.header("retry-after") != nil)
      }
    }
  }

  @Test("Two lost chunks do not matter; three are a clean 503 before any content")
  func lostChunks() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let content = SeededRandom(seed: 9).bytes(1_500_000)
      let id = try await FilesServiceTests.upload(client, content)
      fixture.stores[0].fail(.offline("away"))
      fixture.stores[1].fail(.missing)
      #expect(try await client.send("GET", "/files/\(id)").body == content)
      let chunks = try await client.send("GET", "/files/\(id)/metadata").json?["chunks"]?.elements
      let statuses = chunks?.compactMap { $0["status"]?.text } ?? []
      #expect(statuses.count { $0 == "present" } == 4)
      #expect(statuses.contains("unavailable") && statuses.contains("missing"))
      fixture.stores[2].fail(.corrupt("bad"))
      let answer = try await client.send("GET", "/files/\(id)")
      #expect(answer.status == 503)
      #expect(answer.header("retry-after") != nil)
      #expect(answer.json?["error"]?.text == "storage_unavailable")
      #expect(try await client.send("HEAD", "/files/\(id)").status == 200)
    }
  }

  @Test("Many first uploads of a user at once make one bucket")
  func bucketRace() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      try await withThrowingTaskGroup(of: Int.self) { group in
        for index in 0..<16 {
          group.addTask { try await client.upload([UInt8(index)]).status }
        }
        for try await status in group { #expect(status == 201) }
      }
      #expect(fixture.metadata.state.withLock { $0.buckets.map(\.name) } == ["files-1"])
    }
  }

  @Test("A bucket that someone else made under the name of the files bucket is not used")
  func squattedBucket() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    let squatted = try await fixture.metadata.createBucket(
      name: "files-1", tenant: 1, owner: UserID(99), purpose: .s3)
    try await fixture.serving {
      let id = try await FilesServiceTests.upload(client, [1, 2])
      #expect(try await client.send("GET", "/files/\(id)").body == [1, 2])
      let keys = fixture.metadata.state.withLock { $0.versions.keys.map(\.bucket) }
      #expect(!keys.contains(squatted.id))
    }
  }
}
