import Testing

@Suite("Reads: ranges, parts, conditions, overrides")
struct ReadTests {
  @Test("ranges of inline, small and large objects", arguments: [100, 40_000, 2_200_000])
  func ranges(size: Int) async throws {
    let body = Sample.bytes(size)
    let cases: [(String, Range<Int>?)] = [
      ("bytes=0-0", 0..<1), ("bytes=5-9", 5..<10), ("bytes=\(size - 1)-", size - 1..<size),
      ("bytes=-7", size - 7..<size), ("bytes=-\(size * 2)", 0..<size),
      ("bytes=10-\(size * 9)", 10..<size), ("bytes=0-\(size - 1)", 0..<size),
      ("bytes=\(size)-", nil), ("bytes=-0", nil),
      ("bytes=99999999999999999999999-", nil),
    ]
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: body)
      for (text, range) in cases {
        let got = try await client.send("GET", "/bucket/k", headers: [("range", text)])
        guard let range else {
          #expect(got.outcome == "416 InvalidRange", "\(text)")
          #expect(got.values("ActualObjectSize") == ["\(size)"])
          continue
        }
        #expect(got.status == 206, "\(text)")
        #expect(got.body == Array(body[range]), "\(text)")
        let field = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
        #expect(got.header("content-range") == field)
        let head = try await client.send("HEAD", "/bucket/k", headers: [("range", text)])
        #expect(head.status == 206)
        #expect(head.header("content-length") == "\(range.count)")
      }
      for text in ["bytes=9-5", "lines=1-2", "bytes=1-2,4-5", "bytes=a-b", "bytes"] {
        let got = try await client.send("GET", "/bucket/k", headers: [("range", text)])
        #expect(got.status == 200, "\(text)")
        #expect(got.body.count == size)
      }
    }
  }

  @Test("a range of an empty object cannot be satisfied")
  func emptyRange() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k")
      let got = try await client.send("GET", "/bucket/k", headers: [("range", "bytes=0-")])
      #expect(got.outcome == "416 InvalidRange")
      let part = try await client.send("GET", "/bucket/k", query: "partNumber=1")
      #expect(part.body == [])
      #expect(part.header("content-range") == nil)
      #expect(part.status == 200)
    }
  }

  @Test("a range with If-Range counts only for the object that is there")
  func ifRange() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send("PUT", "/bucket/k", body: Sample.bytes(50))
      let etag = try #require(put.header("etag"))
      let modified = try #require(
        try await client.send("HEAD", "/bucket/k").header("last-modified"))
      for (value, status) in [
        (etag, 206), ("\"0000\"", 200), ("W/\(etag)", 200), (modified, 206),
        ("Thu, 01 Dec 1994 16:00:00 GMT", 200), ("nonsense", 200),
      ] {
        let got = try await client.send(
          "GET", "/bucket/k", headers: [("range", "bytes=1-3"), ("if-range", value)])
        #expect(got.status == status, "\(value)")
        #expect(got.body.count == (status == 206 ? 3 : 50))
      }
    }
  }

  @Test("conditions in the order of RFC 9110")
  func conditions() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send("PUT", "/bucket/k", body: [1, 2, 3])
      let etag = try #require(put.header("etag"))
      let now = fixture.clock.now
      let old = now.advanced(byMilliseconds: -60_000).httpDate
      let new = now.advanced(byMilliseconds: 60_000).httpDate
      let cases: [([(String, String)], Int)] = [
        ([("if-match", etag)], 200), ([("if-match", "*")], 200),
        ([("if-match", "\"x\"")], 412), ([("if-match", "\"x\", \(etag)")], 200),
        ([("if-match", "W/\(etag)")], 412),
        ([("if-none-match", etag)], 304), ([("if-none-match", "*")], 304),
        ([("if-none-match", "W/\(etag)")], 304), ([("if-none-match", "\"x\"")], 200),
        ([("if-modified-since", new)], 304), ([("if-modified-since", old)], 200),
        ([("if-unmodified-since", old)], 412), ([("if-unmodified-since", new)], 200),
        ([("if-match", etag), ("if-unmodified-since", old)], 200),
        ([("if-none-match", "\"x\""), ("if-modified-since", new)], 200),
        ([("if-none-match", etag), ("if-modified-since", old)], 304),
        ([("if-match", "\"x\""), ("if-none-match", etag)], 412),
        ([("if-modified-since", "nonsense")], 200),
      ]
      for method in ["GET", "HEAD"] {
        for (headers, status) in cases {
          let got = try await client.send(method, "/bucket/k", headers: headers)
          #expect(got.status == status, "\(method) \(headers)")
          if status == 304 {
            #expect(got.body == [])
            #expect(got.header("etag") == etag)
          }
          if status == 412 && method == "GET" { #expect(got.code == "PreconditionFailed") }
        }
      }
    }
  }

  @Test("response-* parameters replace headers of a signed answer and cannot split it")
  func overrides() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send(
        "PUT", "/bucket/k", headers: [("content-type", "text/a"), ("cache-control", "private")],
        body: [1])
      let query = "response-cache-control=no-store&response-content-disposition=attachment"
      for authentication in [Authentication.header, .presigned(seconds: 60)] {
        let got = try await client.send("GET", "/bucket/k", query: query, as: authentication)
        #expect(got.header("content-type") == "text/a")
        #expect(got.header("cache-control") == "no-store")
        #expect(got.header("content-disposition") == "attachment")
      }
      let typed = try await client.send(
        "GET", "/bucket/k", query: "response-content-type=text%2Fb")
      #expect(typed.header("content-type") == "text/b")
      let split = try await client.send(
        "GET", "/bucket/k", query: "response-content-type=a%0D%0Ax-evil%3A%201%0D%0A%0D%0Ahello")
      #expect(split.header("x-evil") == nil)
      #expect(split.outcome == "400 InvalidArgument")
    }
  }

  @Test("no name, metadata or header of a request can split an answer")
  func splitting() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let key = "a%0D%0Ax-evil:%201%0D%0A%0D%0Ab"
      #expect(try await client.send("PUT", "/bucket/\(key)", body: [1]).status == 200)
      for path in ["/bucket/\(key)", "/bucket/\(key)x", "/a%0D%0Ax-evil:%201"] {
        for method in ["GET", "HEAD", "DELETE", "POST"] {
          let got = try await client.send(method, path)
          #expect(got.header("x-evil") == nil, "\(method) \(path)")
        }
      }
      for query in ["prefix=%0D%0Ax-evil:1", "encoding-type=%0D%0Ax", "uploadId=%0D%0Ax-evil:1"] {
        let got = try await client.send("GET", "/bucket", query: query)
        #expect(got.header("x-evil") == nil)
      }
      let complete = try await client.send("POST", "/bucket/\(key)", query: "uploads=")
      #expect(complete.status == 200)
    }
  }
}
