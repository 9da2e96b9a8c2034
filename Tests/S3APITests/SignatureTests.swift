import Checksums
import Testing

@Suite("Signatures over the wire")
struct SignatureTests {
  private static let body = Sample.bytes(200_000)

  /// Puts with `spoil` and expects a refusal that leaves nothing behind.
  private func expectRefused(
    _ expected: String, payload: Payload = .digest, headers: [(String, String)] = [],
    body: [UInt8] = SignatureTests.body, as authentication: Authentication = .header,
    spoil: @escaping @Sendable (inout WireRequest) -> Void = { _ in },
    change: @escaping @Sendable (inout S3Client) -> Void = { _ in }
  ) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let good = try await client.send(
        "PUT", "/bucket/good", headers: headers, body: body, payload: payload, as: authentication)
      #expect(good.outcome == "200", "the request is right before it is spoiled")
      var other = client
      change(&other)
      let bad = try await other.send(
        "PUT", "/bucket/bad", headers: headers, body: body, payload: payload, as: authentication,
        spoil: spoil)
      #expect(bad.outcome == expected)
      #expect(try await client.send("GET", "/bucket/bad").outcome == "404 NoSuchKey")
      #expect(try await fixture.objectCount() == 1)
    }
  }

  @Test("a wrong secret, an unknown key, a changed path, header and body")
  func plain() async throws {
    try await expectRefused("403 SignatureDoesNotMatch", change: { $0.secret += "x" })
    try await expectRefused("403 InvalidAccessKeyId", change: { $0.accessKey = "NOBODY" })
    try await expectRefused(
      "403 SignatureDoesNotMatch", headers: [("x-amz-meta-a", "1")],
      spoil: { $0.set("x-amz-meta-a", "2") })
    try await expectRefused("403 SignatureDoesNotMatch", spoil: { $0.query = "x=1" })
    try await expectRefused("400 XAmzContentSHA256Mismatch", spoil: { $0.body[7] ^= 1 })
    try await expectRefused(
      "400 XAmzContentSHA256Mismatch", body: Sample.bytes(100), spoil: { $0.body[7] ^= 1 })
  }

  @Test("a header of x-amz- that is not signed is refused")
  func unsignedHeader() async throws {
    try await expectRefused(
      "403 AccessDenied", spoil: { $0.set("x-amz-meta-evil", "1") })
    try await expectRefused(
      "403 AccessDenied", spoil: { $0.set("x-amz-copy-source", "/bucket/good") })
    try await expectRefused(
      "403 AccessDenied", as: .presigned(seconds: 60), spoil: { $0.set("x-amz-acl", "private") })
  }

  @Test("presigned and signed by header at once is refused")
  func both() async throws {
    try await expectRefused(
      "400 InvalidArgument", as: .presigned(seconds: 60),
      spoil: { $0.set("authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request") })
  }

  @Test(
    "a wrong chunk, wherever it is",
    arguments: [Payload.signedChunks, .signedTrailer(.crc32)], [0, 1, 3, 4])
  func chunks(payload: Payload, number: Int) async throws {
    // Four chunks of data and the empty last one.
    try await expectRefused("403 SignatureDoesNotMatch", payload: payload) { request in
      let marker = Array("chunk-signature=".utf8)
      var starts: [Int] = []
      for index in request.body.indices.dropLast(marker.count)
      where request.body[index] == marker[0] && request.body[index...].starts(with: marker) {
        starts.append(index + marker.count)
      }
      let at = starts[number]
      request.body[at] = request.body[at] == 0x30 ? 0x31 : 0x30
    }
  }

  @Test(
    "changed data in a signed chunk", arguments: [Payload.signedChunks, .signedTrailer(.sha1)])
  func chunkData(payload: Payload) async throws {
    try await expectRefused("403 SignatureDoesNotMatch", payload: payload) {
      $0.body[90_000] ^= 1
    }
  }

  @Test("changed data under a trailing checksum alone is a bad digest")
  func trailingChecksum() async throws {
    try await expectRefused("400 BadDigest", payload: .unsignedTrailer(.crc32)) {
      $0.body[90_000] ^= 1
    }
  }

  private static func replaceTail(_ request: inout WireRequest, _ text: String, _ with: String) {
    guard let range = request.body.lastRange(of: Array(text.utf8)) else { return }
    request.body.replaceSubrange(range, with: Array(with.utf8))
    request.set("content-length", "\(request.body.count)")
  }

  @Test("a trailer that lacks, or has another checksum, or a bad signature")
  func trailers() async throws {
    let sum = S3Client.checksum(.crc32, Self.body)
    let line = "x-amz-checksum-crc32:\(sum)\r\n"
    try await expectRefused("400 MalformedTrailerError", payload: .unsignedTrailer(.crc32)) {
      Self.replaceTail(&$0, line, "")
    }
    try await expectRefused("400 BadDigest", payload: .unsignedTrailer(.crc32)) {
      Self.replaceTail(&$0, sum, "AAAAAA==")
    }
    try await expectRefused("400 InvalidRequest", payload: .unsignedTrailer(.crc32)) {
      Self.replaceTail(&$0, sum, "nonsense")
    }
    try await expectRefused("403 SignatureDoesNotMatch", payload: .signedTrailer(.crc32)) {
      Self.replaceTail(&$0, sum, "AAAAAA==")
    }
    try await expectRefused("403 SignatureDoesNotMatch", payload: .signedTrailer(.crc32)) {
      guard let range = $0.body.lastRange(of: Array("x-amz-trailer-signature:".utf8)) else {
        return
      }
      $0.body.removeSubrange(range.lowerBound..<$0.body.count - 2)
      $0.set("content-length", "\($0.body.count)")
    }
  }

  @Test("a body that ends early or holds more than it said")
  func lengths() async throws {
    try await expectRefused("400 IncompleteBody", payload: .signedChunks) {
      $0.body.removeLast(86 + 4)
      $0.set("content-length", "\($0.body.count)")
    }
    try await expectRefused("403 SignatureDoesNotMatch", payload: .unsignedTrailer(.crc32)) {
      $0.set("x-amz-decoded-content-length", "199999")
    }
  }

  @Test("a clock that is off by more than 15 minutes, either way", arguments: [-901, 901])
  func skew(seconds: Int64) async throws {
    try await expectRefused("403 RequestTimeTooSkewed", change: { $0.skew = seconds })
    try await S3Fixture.serving { _, client async throws in
      var near = client
      near.skew = seconds > 0 ? 890 : -890
      #expect(try await near.send("PUT", "/bucket").status == 200)
    }
  }

  @Test("a presigned URL works until it expires, and not before its time")
  func expiry() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let request = try client.make(
        "PUT", "/bucket/k", body: Array("x".utf8), as: .presigned(seconds: 60))
      #expect(try await client.exchange(request.bytes).outcome == "200")
      fixture.clock.advance(seconds: 59)
      #expect(try await client.exchange(request.bytes).outcome == "200")
      fixture.clock.advance(seconds: 2)
      let late = try await client.exchange(request.bytes)
      #expect(late.outcome == "403 AccessDenied")
      #expect(late.text.contains("expired"))
      var early = client
      early.skew = 3600
      #expect(
        try await early.send("GET", "/bucket/k", as: .presigned(seconds: 60)).status == 403)
    }
  }

  @Test("another region is told the right one, by header and presigned")
  func region() async throws {
    try await S3Fixture.serving { _, client async throws in
      var other = client
      other.region = "us-east-1"
      let byHeader = try await other.send("GET", "/")
      #expect(byHeader.outcome == "400 AuthorizationHeaderMalformed")
      #expect(byHeader.values("Region") == ["eu-test-1"])
      let byQuery = try await other.send("GET", "/", as: .presigned(seconds: 60))
      #expect(byQuery.outcome == "400 AuthorizationQueryParametersError")
      #expect(byQuery.values("Region") == ["eu-test-1"])
    }
  }
}

extension Array where Element == UInt8 {
  /// The last place of a run of bytes.
  func lastRange(of needle: [UInt8]) -> Range<Int>? {
    guard count >= needle.count else { return nil }
    for start in stride(from: count - needle.count, through: 0, by: -1)
    where self[start...].starts(with: needle) {
      return start..<start + needle.count
    }
    return nil
  }
}
