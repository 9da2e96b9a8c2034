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

  @Test("a copy onto itself may change where a website sends its readers, or the encryption")
  func ontoItself() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      for size in [3, 40_000] {
        let body = Sample.bytes(size)
        try await client.send(
          "PUT", "/bucket/a",
          headers: [("x-amz-meta-x", "1"), ("content-type", "text/a"), ("x-amz-tagging", "t=1")],
          body: body)
        func copy(_ headers: [(String, String)]) async throws -> String {
          try await client.send(
            "PUT", "/bucket/a", headers: [("x-amz-copy-source", "/bucket/a")] + headers
          ).outcome
        }
        let location = "x-amz-website-redirect-location"
        #expect(try await copy([(location, "/there")]) == "200")
        var head = try await client.send("GET", "/bucket/a")
        #expect(head.header(location) == "/there")
        #expect(head.header("x-amz-meta-x") == "1")
        #expect(head.header("content-type") == "text/a")
        #expect(head.header("x-amz-tagging-count") == "1")
        #expect(head.body == body)
        // Where readers are sent is never copied.
        #expect(try await copy([("x-amz-server-side-encryption", "AES256")]) == "200")
        head = try await client.send("GET", "/bucket/a")
        #expect(head.header(location) == nil)
        #expect(head.header("x-amz-meta-x") == "1")
        #expect(head.body == body)
        #expect(try await copy([]) == "400 InvalidRequest")
        #expect(try await copy([("x-amz-tagging-directive", "COPY")]) == "400 InvalidRequest")
      }
    }
  }

  @Test("conditions on the time of a copy's source, and which of two counts")
  func sourceConditions() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send("PUT", "/bucket/a", body: [1, 2, 3])
      let etag = try #require(put.header("etag"))
      let written = try #require(
        try await client.send("HEAD", "/bucket/a").header("last-modified"))
      let begun = try await client.send("POST", "/bucket/m", query: "uploads=")
      let upload = try #require(begun.values("UploadId").first)
      let past = "Thu, 01 Jan 2026 00:00:00 GMT"
      let future = "Thu, 01 Dec 2033 16:00:00 GMT"
      let failed = "412 PreconditionFailed"
      let prefix = "x-amz-copy-source-"
      for (conditions, expected) in [
        ([("if-modified-since", past)], "200"), ([("if-modified-since", future)], failed),
        ([("if-modified-since", written)], failed), ([("if-unmodified-since", past)], failed),
        ([("if-unmodified-since", future)], "200"), ([("if-unmodified-since", written)], "200"),
        // A date that cannot be read is no condition.
        ([("if-modified-since", "yesterday")], "200"),
        ([("if-unmodified-since", "yesterday")], "200"),
        // The tag counts where both are there.
        ([("if-match", etag), ("if-unmodified-since", past)], "200"),
        ([("if-match", "\"x\""), ("if-unmodified-since", future)], failed),
        ([("if-none-match", etag), ("if-modified-since", past)], failed),
        ([("if-none-match", "\"x\""), ("if-modified-since", future)], "200"),
        ([("if-match", etag), ("if-none-match", etag)], failed),
        ([("if-unmodified-since", future), ("if-modified-since", past)], "200"),
        ([("if-unmodified-since", past), ("if-modified-since", past)], failed),
      ] {
        let headers =
          [("x-amz-copy-source", "/bucket/a")] + conditions.map { (prefix + $0.0, $0.1) }
        let copy = try await client.send("PUT", "/bucket/b", headers: headers)
        #expect(copy.outcome == expected, "\(conditions)")
        let part = try await client.send(
          "PUT", "/bucket/m", query: "partNumber=1&uploadId=\(upload)", headers: headers)
        #expect(part.outcome == expected, "\(conditions)")
        let made = try await client.send("DELETE", "/bucket/b").status
        #expect(made == 204)
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
