import Testing

@Suite("Listings")
struct ListingTests {
  private static let keys = [
    "a", "a/", "a/1", "a/2", "a/b/1", "a/b/2", "b", "b/1", "c-1", "c/1", "c0", "d", "é", "z/y/x",
  ]

  /// What a listing shows, computed from all keys.
  private static func reference(
    prefix: String, delimiter: String, after: String
  ) -> [(name: String, isPrefix: Bool)] {
    var rows: [(name: String, isPrefix: Bool)] = []
    for key in keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    where key.hasPrefix(prefix) {
      let rest = key.dropFirst(prefix.count)
      if !delimiter.isEmpty, let range = rest.firstRange(of: delimiter) {
        let name = prefix + rest[..<range.upperBound]
        if rows.last?.name != name { rows.append((name, true)) }
      } else {
        rows.append((key, false))
      }
    }
    return rows.filter { after.utf8.lexicographicallyPrecedes($0.name.utf8) }
  }

  @Test(
    "pages of every size add up to the reference",
    arguments: ["", "a", "a/", "b", "zz"], ["", "/", "b"])
  func pages(prefix: String, delimiter: String) async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      for key in Self.keys {
        let path = key.replacing("é", with: "%C3%A9")
        #expect(try await client.send("PUT", "/bucket/\(path)", body: [1]).status == 200)
      }
      for version in [1, 2] {
        for size in [1, 2, 5, 1000] {
          for after in ["", "a/1", "b"] {
            try await Self.check(client, version, size, prefix, delimiter, after)
          }
        }
      }
    }
  }

  private static func check(
    _ client: S3Client, _ version: Int, _ size: Int, _ prefix: String, _ delimiter: String,
    _ after: String
  ) async throws {
    let what = "V\(version) \(size) prefix \(prefix) delimiter \(delimiter) after \(after)"
    let expected = reference(prefix: prefix, delimiter: delimiter, after: after)
    var names: [String] = []
    var prefixes: [String] = []
    var base = "max-keys=\(size)&prefix=\(encode(prefix))&delimiter=\(encode(delimiter))"
    base += version == 2 ? "&list-type=2&start-after=\(encode(after))" : ""
    var marker = version == 1 && !after.isEmpty ? "&marker=\(encode(after))" : ""
    for _ in 0...expected.count {
      let page = try await client.send("GET", "/bucket", query: base + marker)
      try #require(page.status == 200, "\(what)")
      let keys = page.values("Key")
      let common = page.values("CommonPrefixes").map {
        $0.replacing("<Prefix>", with: "").replacing("</Prefix>", with: "")
      }
      try #require(keys.count + common.count <= size, "\(what)")
      names += keys
      prefixes += common
      guard page.values("IsTruncated") == ["true"] else { break }
      if version == 2 {
        let token = try #require(page.values("NextContinuationToken").first)
        marker = "&continuation-token=\(encode(token))"
      } else {
        // Without a delimiter the marker is the last key.
        let next = page.values("NextMarker").first ?? keys.last ?? ""
        marker = "&marker=\(encode(next))"
      }
    }
    #expect(names == expected.filter { !$0.isPrefix }.map(\.name), "\(what)")
    #expect(prefixes == expected.filter(\.isPrefix).map(\.name), "\(what)")
  }

  private static func encode(_ text: String) -> String {
    text.utf8.map { byte in
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
        || (0x61...0x7a).contains(byte) || byte == 0x2d || byte == 0x2e || byte == 0x5f
      if isPlain { return String(UnicodeScalar(byte)) }
      let digits = String(byte, radix: 16, uppercase: true)
      return "%" + (digits.count == 1 ? "0" : "") + digits
    }.joined()
  }

  @Test("no keys at all, too many, and numbers that are none")
  func limits() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      let none = try await client.send("GET", "/bucket", query: "list-type=2&max-keys=0")
      #expect(none.status == 200)
      #expect(none.values("Key").isEmpty)
      #expect(none.values("IsTruncated") == ["false"])
      let many = try await client.send("GET", "/bucket", query: "list-type=2&max-keys=5000")
      #expect(many.values("MaxKeys") == ["1000"])
      for text in ["-1", "x", "99999999999999999999"] {
        let answer = try await client.send(
          "GET", "/bucket", query: "list-type=2&max-keys=\(text)")
        #expect(answer.outcome == "400 InvalidArgument", "\(text)")
      }
      let token = try await client.send(
        "GET", "/bucket", query: "continuation-token=nonsense&list-type=2")
      #expect(token.outcome == "400 InvalidArgument")
      #expect(try await client.send("GET", "/none", query: "list-type=2").code == "NoSuchBucket")
    }
  }

  @Test("owners are shown on request, and the encoding is said")
  func owners() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/sp%20ace", body: [1])
      let plain = try await client.send("GET", "/bucket", query: "list-type=2")
      #expect(plain.values("Owner").isEmpty)
      #expect(plain.values("Key") == ["sp ace"])
      let full = try await client.send(
        "GET", "/bucket", query: "encoding-type=url&fetch-owner=true&list-type=2")
      #expect(full.values("DisplayName") == ["alice"])
      #expect(full.values("EncodingType") == ["url"])
      #expect(["sp%20ace", "sp+ace"].contains(full.values("Key").first))
    }
  }
}
