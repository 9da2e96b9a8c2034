import Base
import Crypto
import Testing

@Suite("Copies and races")
struct CopyTests {
  @Test("a copy takes or replaces metadata, honours its conditions and never copies onto itself")
  func copies() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send(
        "PUT", "/bucket/a", headers: [("x-amz-meta-x", "1"), ("content-type", "text/a")],
        body: [1, 2, 3])
      let etag = try #require(put.header("etag"))
      func copy(_ to: String, _ headers: [(String, String)]) async throws -> S3Answer {
        try await client.send(
          "PUT", "/bucket/\(to)", headers: [("x-amz-copy-source", "/bucket/a")] + headers)
      }
      #expect(try await copy("b", []).values("ETag") == [etag])
      let b = try await client.send("GET", "/bucket/b")
      #expect(b.header("x-amz-meta-x") == "1")
      #expect(b.header("content-type") == "text/a")
      let replace = [("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-y", "2")]
      #expect(try await copy("c", replace).status == 200)
      let c = try await client.send("GET", "/bucket/c")
      #expect(c.header("x-amz-meta-x") == nil)
      #expect(c.header("x-amz-meta-y") == "2")
      #expect(c.body == [1, 2, 3])
      #expect(try await copy("a", []).outcome == "400 InvalidRequest")
      #expect(try await copy("a", replace).status == 200)
      #expect(try await client.send("HEAD", "/bucket/a").header("x-amz-meta-y") == "2")
      #expect(try await copy("d", [("x-amz-metadata-directive", "OTHER")]).status == 400)
      for (headers, expected) in [
        ([("x-amz-copy-source-if-match", "\"x\"")], "412 PreconditionFailed"),
        ([("x-amz-copy-source-if-none-match", etag)], "412 PreconditionFailed"),
        ([("x-amz-copy-source-if-match", etag)], "200"),
        ([("if-none-match", "*")], "412 PreconditionFailed"),
        ([("if-match", etag)], "200"), ([("if-match", "\"x\"")], "412 PreconditionFailed"),
      ] {
        #expect(try await copy("b", headers).outcome == expected, "\(headers)")
      }
      let gone = try await client.send(
        "PUT", "/bucket/e", headers: [("x-amz-copy-source", "/bucket/none")])
      #expect(gone.outcome == "404 NoSuchKey")
      for source in ["", "/", "bucket", "/bucket/", "/bucket/%ZZ", "/b/../bucket/a"] {
        let bad = try await client.send(
          "PUT", "/bucket/e", headers: [("x-amz-copy-source", source)])
        #expect((400..<500).contains(bad.status), "\(source)")
      }
    }
  }

  @Test("readers and copiers of an object that is overwritten see one whole version each time")
  func overwrites() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let bodies = (1...4).map { [UInt8](repeating: UInt8($0), count: 20_000 * $0) }
      try await client.send("PUT", "/bucket/k", body: bodies[0], payload: .unsigned)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for round in 0..<40 {
            let put = try await client.send(
              "PUT", "/bucket/k", body: bodies[round % 4], payload: .unsigned)
            #expect(put.status == 200)
          }
        }
        for reader in 0..<2 {
          group.addTask {
            for _ in 0..<40 {
              let got = try await client.send("GET", "/bucket/k")
              #expect(got.status == 200)
              #expect(got.header("etag") == "\"\(Hex.encode(Digest.hash(.md5, got.body)))\"")
              let copy = try await client.send(
                "PUT", "/bucket/copy-\(reader)", headers: [("x-amz-copy-source", "/bucket/k")])
              #expect(copy.outcome == "200")
              let touched = try await client.send(
                "PUT", "/bucket/k",
                headers: [
                  ("x-amz-copy-source", "/bucket/k"), ("x-amz-metadata-directive", "REPLACE"),
                ])
              #expect(touched.outcome == "200")
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("of many conditional writers exactly one wins")
  func conditionalRace() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      for size in [10, 50_000] {
        let outcomes = try await withThrowingTaskGroup(of: String.self) { group in
          for number in 0..<12 {
            group.addTask {
              try await client.send(
                "PUT", "/bucket/k\(size)", headers: [("if-none-match", "*")],
                body: [UInt8](repeating: UInt8(number), count: size)
              ).outcome
            }
          }
          return try await group.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == "200" }.count == 1)
        #expect(outcomes.filter { $0 == "412 PreconditionFailed" }.count == 11)
      }
    }
  }
}
