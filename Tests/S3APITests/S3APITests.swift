import Checksums
import Testing

@Suite("Objects over the wire")
struct RoundTripTests {
  @Test(
    "every payload mode stores what was sent",
    arguments: [
      Payload.digest, .unsigned, .signedChunks, .signedTrailer(.crc32), .signedTrailer(.sha256),
      .unsignedTrailer(.crc64nvme), .unsignedTrailer(.sha1), .unsignedTrailer(.crc32c),
    ], [0, 1, 5000, 70_000, 1_048_576, 2_500_000])
  func payloads(payload: Payload, size: Int) async throws {
    let body = Sample.bytes(size)
    try await S3Fixture.serving { _, client async throws in
      #expect(try await client.send("PUT", "/bucket").status == 200)
      let put = try await client.send("PUT", "/bucket/key", body: body, payload: payload)
      #expect(put.outcome == "200")
      let got = try await client.send("GET", "/bucket/key")
      #expect(got.status == 200)
      #expect(got.body == body)
      #expect(got.header("etag") == put.header("etag"))
      #expect(got.header("content-type") == "binary/octet-stream")
    }
  }

  @Test("headers and metadata come back, and aws-chunked does not")
  func attributes() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send(
        "PUT", "/bucket/key",
        headers: [
          ("content-type", "text/plain"), ("cache-control", "no-store"),
          ("content-disposition", "attachment"), ("content-language", "de"),
          ("expires", "Thu, 01 Dec 1994 16:00:00 GMT"), ("x-amz-meta-color", "blue"),
        ], body: Array("hello".utf8), payload: .signedChunks)
      #expect(put.outcome == "200")
      for method in ["GET", "HEAD"] {
        let got = try await client.send(method, "/bucket/key")
        #expect(got.status == 200)
        #expect(got.header("content-type") == "text/plain")
        #expect(got.header("cache-control") == "no-store")
        #expect(got.header("content-disposition") == "attachment")
        #expect(got.header("content-language") == "de")
        #expect(got.header("expires") == "Thu, 01 Dec 1994 16:00:00 GMT")
        #expect(got.header("x-amz-meta-color") == "blue")
        #expect(got.header("content-encoding") == nil)
        #expect(got.header("content-length") == "5")
        #expect(got.body.count == (method == "GET" ? 5 : 0))
      }
    }
  }

  @Test("a bucket by host name is the bucket by path")
  func virtualHost() async throws {
    try await S3Fixture.serving { _, client async throws in
      #expect(try await client.send("PUT", "/", host: "bucket.s3.test").status == 200)
      let body = Array("v".utf8)
      #expect(
        try await client.send("PUT", "/a/b", body: body, host: "bucket.s3.test").status == 200)
      #expect(try await client.send("GET", "/bucket/a/b").body == body)
      #expect(try await client.send("GET", "/bucket/a/b", host: "s3.test").body == body)
    }
  }
}

/// Bytes to store.
enum Sample {
  static func bytes(_ count: Int) -> [UInt8] {
    let pattern = (0..<251).map { UInt8($0) }
    var result: [UInt8] = []
    result.reserveCapacity(count + pattern.count)
    while result.count < count { result += pattern }
    result.removeLast(result.count - count)
    return result
  }
}
