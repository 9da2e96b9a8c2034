import Base
import Crypto
import FilesAPI
import Metadata
import Runtime
import Testing

/// The Files API as clients see it.
struct FilesServiceTests {
  /// Uploads a file and returns its id.
  static func upload(
    _ client: FilesClient, _ content: [UInt8], name: String = "a.txt"
  ) async throws -> String {
    let answer = try await client.upload(content, name: name)
    try #require(answer.status == 201, "\(answer.text)")
    return try #require(answer.json?["id"]?.text)
  }

  @Test(
    "A file comes back as it was sent, with its digest and its six chunks",
    arguments: [0, 1, 65_520, 100_000, 1_048_320, 1_048_321, 3_000_000])
  func roundTrip(_ size: Int) async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let content = SeededRandom(seed: UInt64(size)).bytes(size)
      let made = try await client.upload(content, name: "ä \"x\".bin", type: "image/png")
      #expect(made.status == 201)
      let digest = Hex.encode(Digest.hash(.sha256, content))
      let json = try #require(made.json)
      #expect(json["name"]?.text == "ä \"x\".bin")
      #expect(json["size"]?.integer == Int64(size))
      #expect(json["sha256"]?.text == digest)
      #expect(json["content_type"]?.text == "image/png")
      #expect(json["status"]?.text == "completed")
      let id = try #require(json["id"]?.text)
      #expect(made.header("location") == "/files/\(id)")
      let got = try await client.send("GET", "/files/\(id)")
      #expect(got.status == 200)
      #expect(got.body == content)
      #expect(got.header("content-type") == "image/png")
      #expect(got.header("content-length") == "\(size)")
      #expect(got.header("etag") == "\"\(digest)\"")
      #expect(got.header("accept-ranges") == "bytes")
      #expect(got.header("last-modified") != nil)
      #expect(
        got.header("content-disposition")
          == "attachment; filename=\"_ _x_.bin\"; filename*=UTF-8''%C3%A4%20%22x%22.bin")
      let description = try #require(try await client.send("GET", "/files/\(id)/metadata").json)
      let chunks = try #require(description["chunks"]?.elements)
      #expect(chunks.count == 6)
      #expect(chunks.compactMap { $0["index"]?.integer } == [0, 1, 2, 3, 4, 5])
      #expect(Set(chunks.compactMap { $0["server"]?.text }).count == 6)
      #expect(chunks.allSatisfy { $0["status"]?.text == "present" })
      #expect(chunks.allSatisfy { $0["size"]?.integer ?? 0 > 0 && $0["sha256"]?.text != nil })
      let states = fixture.metadata.state.withLock { Array($0.fileStates.values) }
      #expect(states == [[.pending, .uploading, .completed]])
    }
  }

  @Test("Every answer keeps browsers from running what was uploaded, and names the request")
  func securityHeaders() async throws {
    let fixture = try FilesFixture()
    let bearer = try await fixture.user("ann")
    let client = FilesClient(fixture.port, bearer: bearer)
    try await fixture.serving {
      let id = try await Self.upload(client, Array("<script>".utf8))
      for (method, target) in [
        ("GET", "/health"), ("GET", "/openapi.yaml"), ("GET", "/files"), ("GET", "/files/\(id)"),
        ("GET", "/files/zzz"), ("PUT", "/files"), ("GET", "/nothing"), ("DELETE", "/files/\(id)"),
      ] {
        let answer = try await client.send(method, target)
        #expect(answer.header("x-content-type-options") == "nosniff")
        #expect(answer.header("content-security-policy") == "sandbox; default-src 'none'")
        #expect(answer.header("x-frame-options") == "DENY")
        let requestID = try #require(answer.header("x-request-id"))
        if answer.status >= 400 {
          #expect(answer.json?["request_id"]?.text == requestID)
          #expect(answer.json?["error"]?.text?.isEmpty == false)
          #expect(answer.json?["details"]?.text?.isEmpty == false)
        }
      }
    }
  }

  @Test("Ranges, conditions and HEAD")
  func readsInPart() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let content = SeededRandom(seed: 5).bytes(200_000)
      let id = try await Self.upload(client, content)
      let target = "/files/\(id)"
      let head = try await client.send("HEAD", target)
      #expect(head.status == 200 && head.body.isEmpty)
      #expect(head.header("content-length") == "200000")
      let etag = try #require(head.header("etag"))
      let modified = try #require(head.header("last-modified"))
      func get(_ headers: [(String, String)]) async throws -> Answer {
        try await client.send("GET", target, headers: headers)
      }
      let part = try await get([("Range", "bytes=65000-140000")])
      #expect(part.status == 206)
      #expect(part.body == Array(content[65_000...140_000]))
      #expect(part.header("content-range") == "bytes 65000-140000/200000")
      let tail = try await get([("Range", "bytes=-7")])
      #expect(tail.body == Array(content.suffix(7)))
      let outside = try await get([("Range", "bytes=200000-")])
      #expect(outside.status == 416)
      #expect(outside.header("content-range") == "bytes */200000")
      #expect(try await get([("Range", "bytes=0-1,5-6")]).status == 200)
      #expect(try await get([("Range", "bytes=0-1"), ("If-Range", "\"x\"")]).status == 200)
      #expect(try await get([("Range", "bytes=0-1"), ("If-Range", etag)]).status == 206)
      let same = try await get([("If-None-Match", "\"x\", W/\(etag)")])
      #expect(same.status == 304 && same.body.isEmpty && same.header("etag") == etag)
      #expect(try await get([("If-None-Match", "\"x\"")]).status == 200)
      #expect(try await get([("If-Modified-Since", modified)]).status == 304)
      #expect(
        try await get([("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]).status == 200)
      #expect(try await get([("If-Match", "\"x\"")]).status == 412)
      #expect(try await get([("If-Match", etag)]).status == 200)
    }
  }

  @Test("Lists are in pages, filtered by status, and counted")
  func lists() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    let other = FilesClient(fixture.port, bearer: try await fixture.user("bob"))
    try await fixture.serving {
      for index in 0..<5 {
        fixture.clock.advance(seconds: 1)
        _ = try await Self.upload(client, [1, 2, 3], name: "f\(index)")
      }
      _ = try await Self.upload(other, [1], name: "bob")
      func names(_ target: String) async throws -> [String?]? {
        try await client.send("GET", target).json?["files"]?.elements?.map { $0["name"]?.text }
      }
      let first = try #require(try await client.send("GET", "/files?per_page=2").json)
      #expect(first["total"]?.integer == 5)
      #expect(first["page"]?.integer == 1 && first["per_page"]?.integer == 2)
      #expect(try await names("/files?per_page=2") == ["f4", "f3"])
      #expect(try await names("/files?per_page=2&page=3") == ["f0"])
      #expect(try await names("/files?page=9") == [])
      #expect(try await names("/files?status=completed")?.count == 5)
      #expect(try await names("/files?status=failed") == [])
      for query in [
        "page=0", "per_page=0", "per_page=1001", "status=x", "page=a", "page=1&page=2",
        "page=9999999999999999999999", "page=%",
      ] {
        let answer = try await client.send("GET", "/files?\(query)")
        #expect(answer.status == 400, "\(query)")
      }
    }
  }

  @Test("A deleted file is gone, and its chunks become tombstones")
  func deletes() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    try await fixture.serving {
      let id = try await Self.upload(client, [1, 2, 3])
      let answer = try await client.send("DELETE", "/files/\(id)")
      #expect(answer.status == 204 && answer.body.isEmpty)
      #expect(try await client.send("GET", "/files/\(id)").status == 404)
      #expect(try await client.send("DELETE", "/files/\(id)").status == 404)
      #expect(fixture.metadata.state.withLock { $0.discarded.count } == 1)
      #expect(fixture.metadata.state.withLock { $0.versions.isEmpty && $0.files.isEmpty })
    }
  }

  @Test("What is not there, not an id, or not allowed has its own answer")
  func refusals() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: try await fixture.user("ann"))
    let unknown = String(repeating: "0", count: 32)
    try await fixture.serving {
      let cases: [(String, String, Int)] = [
        ("GET", "/files/\(unknown)", 404), ("GET", "/files/\(unknown)/metadata", 404),
        ("DELETE", "/files/\(unknown)", 404), ("GET", "/files/x", 400),
        ("GET", "/files/\(unknown)0", 400), ("GET", "/files/..%2f..%2fetc%2fpasswd", 400),
        ("GET", "/files/x/metadata", 400), ("GET", "/files/", 400), ("GET", "/files//", 404),
        ("GET", "/files/\(unknown)/other", 404), ("GET", "/", 404), ("GET", "/Files", 404),
        ("PUT", "/files", 405), ("DELETE", "/files", 405), ("POST", "/files/\(unknown)", 405),
        ("POST", "/health", 405), ("DELETE", "/files/\(unknown)/metadata", 405),
      ]
      for (method, target, status) in cases {
        let answer = try await client.send(method, target)
        #expect(answer.status == status, "\(method) \(target)")
        if status == 405 { #expect(answer.header("allow")?.contains("GET") == true) }
      }
    }
  }

  @Test("The document is the one of the repository; health tells how it is")
  func publicRoutes() async throws {
    let fixture = try FilesFixture()
    let client = FilesClient(fixture.port, bearer: nil)
    try await fixture.serving {
      let document = try await client.send("GET", "/openapi.yaml")
      #expect(document.status == 200)
      #expect(document.body == OpenAPIDocument.bytes)
      let good = try await client.send("GET", "/health")
      #expect(good.status == 200 && good.json?["status"]?.text == "ok")
      #expect(good.json?["version"]?.text == "test")
      for (value, word) in [
        (ServiceHealth.starting, "starting"), (.draining, "draining"),
        (.unavailable("fenced"), "unavailable"),
      ] {
        fixture.health.set(value)
        let answer = try await client.send("GET", "/health")
        #expect(answer.status == 503 && answer.json?["status"]?.text == word)
        #expect(answer.header("retry-after") != nil)
      }
    }
  }
}
