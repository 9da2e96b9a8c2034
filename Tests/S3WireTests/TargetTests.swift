import Runtime
import S3Wire
import Testing

private func target(
  _ path: String, query: String = "", host: String = "localhost:9000", domains: [String] = []
) throws -> RequestTarget {
  try RequestTarget(
    rawPath: slice(path), rawQuery: slice(query), host: slice(host), domains: domains)
}

@Suite("Request targets")
struct TargetTests {
  @Test(
    "keys are bytes, decoded once and never normalised",
    arguments: [
      ("/bkt/a", "a"), ("/bkt/a/b", "a/b"), ("/bkt//a", "/a"), ("/bkt/a//b/", "a//b/"),
      ("/bkt/..", ".."), ("/bkt/../../etc/passwd", "../../etc/passwd"),
      ("/bkt/%2e%2e%2fother%2fkey", "../other/key"), ("/bkt/..%5cx", "..\\x"),
      ("/bkt/%2Fa", "/a"), ("/bkt/a+b", "a+b"), ("/bkt/a%20b%2B", "a b+"),
      ("/bkt/%2541", "%41"), ("/bkt/a%00b", "a\u{0}b"), ("/bkt/%C3%A9", "é"), ("/bkt/é", "é"),
      ("/bkt/./.", "./."), ("/bkt/a%0d%0ab", "a\r\nb"), ("/bkt/%3Facl", "?acl"),
    ])
  func keysClass21(path: String, key: String) throws {
    let result = try target(path)
    #expect(result.bucket?.text == "bkt")
    #expect(result.key?.bytes == bytes(key))
  }

  @Test(
    "what cannot be decoded has a defined answer",
    arguments: [
      ("/bkt/%", S3Error.Code.invalidURI), ("/bkt/%4", .invalidURI), ("/bkt/%zz", .invalidURI),
      ("/bkt/%ff", .invalidURI), ("/bkt/%c0%af", .invalidURI), ("/bkt/%ed%a0%80", .invalidURI),
      ("bkt", .invalidURI), ("*x", .invalidURI), ("/%", .invalidURI),
      ("//key", .invalidBucketName), ("/../bkt", .invalidBucketName),
      ("/UPPER", .invalidBucketName),
      ("/bkt%2fkey", .invalidBucketName), ("/%2e%2e/x", .invalidBucketName),
    ])
  func refusedClass21(path: String, expected: S3Error.Code) {
    #expect(code { _ = try target(path) } == expected)
  }

  @Test("a key has at most 1024 bytes")
  func length() throws {
    let key = String(repeating: "é", count: 512)
    #expect(try target("/bkt/" + key).key?.bytes.count == 1024)
    #expect(code { _ = try target("/bkt/" + key + "a") } == .keyTooLongError)
  }

  @Test("buckets come with the path or with the host")
  func addressing() throws {
    let domains = ["s3.example.org"]
    #expect(try target("/", domains: domains).bucket == nil)
    #expect(try target("").bucket == nil)
    #expect(try target("*").bucket == nil)
    #expect(try target("/bkt").key == nil)
    #expect(try target("/bkt/").key == nil)
    let hosted = try target("/a/b", host: "My.Bkt.S3.example.org:443", domains: domains)
    #expect(hosted.bucket?.text == "my.bkt")
    #expect(hosted.key?.bytes == bytes("a/b"))
    #expect(hosted.isVirtualHosted)
    #expect(try target("/", host: "bkt.s3.example.org", domains: domains).bucket?.text == "bkt")
    let plain = try target("/bkt/k", host: "s3.example.org", domains: domains)
    #expect(plain.bucket?.text == "bkt")
    #expect(!plain.isVirtualHosted)
    #expect(try target("/bkt/k", host: "[::1]:9000", domains: domains).bucket?.text == "bkt")
    #expect(
      code { _ = try target("/k", host: "../x.s3.example.org", domains: domains) }
        == .invalidBucketName)
    #expect(
      code { _ = try target("/k", host: ".s3.example.org", domains: domains) }
        == .invalidBucketName)
  }

  @Test("queries keep order and duplicates, and decode names and values")
  func query() throws {
    let query = try target("/bkt", query: "a=1&b&a=2&c%20d=x+y%2B&&=z").query
    #expect(query.parameters.count == 5)
    #expect(try query.text("a") == "1")
    #expect(query.count(of: "a") == 2)
    #expect(try query.text("b") == "")
    #expect(try query.text("c d") == "x y+")
    #expect(try query.text("d") == nil)
    #expect(code { _ = try target("/bkt", query: "a=%f") } == .invalidURI)
    let many = Array(repeating: "a", count: 129).joined(separator: "&")
    #expect(code { _ = try target("/bkt", query: many) } == .invalidURI)
    #expect(code { _ = try target("/bkt", query: "a=%ff").query.text("a") } == .invalidURI)
  }

  @Test("any bytes give a target or a defined error", arguments: 0..<4)
  func fuzzClass24(seed: UInt64) {
    print("Target fuzz seed \(seed)")
    var random = SeededRandom(seed: seed)
    for _ in 0..<2000 {
      do {
        let result = try RequestTarget(
          rawPath: mutate("/bkt/a%20b/../%2F", &random)[...],
          rawQuery: mutate("prefix=a%20&uploads", &random)[...],
          host: mutate("bkt.s3.example.org:80", &random)[...], domains: ["s3.example.org"])
        if let key = result.key { #expect((1...1024).contains(key.bytes.count)) }
      } catch {
        #expect([.invalidURI, .invalidBucketName, .keyTooLongError].contains(error.code))
      }
    }
  }
}

@Suite("Bucket names")
struct BucketNameTests {
  @Test(
    "valid names", arguments: ["abc", "a-b", "a.b.c", "0ab", "a--b", "1.2.3.4a", "1.2.3", "a.-b"])
  func valid(name: String) throws {
    #expect(try BucketName(name).text == name)
    #expect(BucketName.isValid(String(repeating: "a", count: 63)))
  }

  @Test(
    "invalid names",
    arguments: [
      "", "ab", "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "192.168.5.4", "xn--abc",
      "sthree-x", "abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3", "a/b", "a b", "é12",
      "a\u{0}b",
      String(repeating: "a", count: 64), "_", "abc\n",
    ])
  func invalid(name: String) {
    #expect(code { _ = try BucketName(name) } == .invalidBucketName)
  }
}
