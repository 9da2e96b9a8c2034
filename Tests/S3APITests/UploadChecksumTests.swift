import Checksums
import Testing

@Suite("Checksums of bodies and uploads")
struct UploadChecksumTests {
  /// How a checksum comes with a body.
  enum Carrier: String, CaseIterable, Sendable {
    case header, unsignedTrailer, signedTrailer
  }

  struct Case: Sendable, CustomStringConvertible {
    var algorithm: ChecksumAlgorithm
    var carrier: Carrier
    var description: String { "\(algorithm.name) by \(carrier)" }

    static let all = ChecksumAlgorithm.allCases.flatMap { algorithm in
      Carrier.allCases.map { Case(algorithm: algorithm, carrier: $0) }
    }

    /// Sends a body with the checksum of `summed`.
    func send(
      _ client: S3Client, _ path: String, query: String = "", body: [UInt8], summed: [UInt8]
    ) async throws -> S3Answer {
      let sum = S3Client.checksum(algorithm, summed)
      switch carrier {
      case .header:
        return try await client.send(
          "PUT", path, query: query, headers: [(algorithm.headerName, sum)], body: body,
          payload: .unsigned)
      case .unsignedTrailer:
        return try await client.send(
          "PUT", path, query: query, body: body, payload: .unsignedTrailer(algorithm),
          trailerOf: summed)
      case .signedTrailer:
        return try await client.send(
          "PUT", path, query: query, body: body, payload: .signedTrailer(algorithm),
          trailerOf: summed)
      }
    }
  }

  @Test("a put keeps the checksum that came with it, and refuses a wrong one", arguments: Case.all)
  func put(_ item: Case) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      for size in [0, 1, 16_385, 1_100_000] {
        let body = Sample.bytes(size)
        let sum = S3Client.checksum(item.algorithm, body)
        let bad = try await item.send(client, "/bucket/k", body: body, summed: body + [0])
        #expect(bad.outcome == "400 BadDigest", "\(size)")
        #expect(try await fixture.objectCount() == 0)
        let put = try await item.send(client, "/bucket/k", body: body, summed: body)
        #expect(put.outcome == "200", "\(size)")
        #expect(put.header(item.algorithm.headerName) == sum)
        let got = try await client.send(
          "GET", "/bucket/k", headers: [("x-amz-checksum-mode", "ENABLED")])
        #expect(got.body == body)
        let kept = got.headers.filter {
          $0.name.hasPrefix("x-amz-checksum-") && $0.name != "x-amz-checksum-type"
        }
        #expect(kept.map(\.name) == [item.algorithm.headerName])
        #expect(kept.map(\.value) == [sum])
        #expect(got.header("x-amz-checksum-type") == "FULL_OBJECT")
        try await client.send("DELETE", "/bucket/k")
      }
    }
  }

  @Test("a part keeps the checksum of its upload, and refuses a wrong one", arguments: Case.all)
  func part(_ item: Case) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let body = Sample.bytes(70_000)
      let sum = S3Client.checksum(item.algorithm, body)
      let upload = try await Self.begin(
        client, [("x-amz-checksum-algorithm", item.algorithm.name)])
      let query = "partNumber=1&uploadId=\(upload)"
      let bad = try await item.send(
        client, "/bucket/m", query: query, body: body, summed: body + [0])
      #expect(bad.outcome == "400 BadDigest")
      let none = try await client.send("GET", "/bucket/m", query: "uploadId=\(upload)")
      #expect(none.values("PartNumber").isEmpty)
      let put = try await item.send(client, "/bucket/m", query: query, body: body, summed: body)
      #expect(put.outcome == "200")
      #expect(put.header(item.algorithm.headerName) == sum)
      let parts = try await client.send("GET", "/bucket/m", query: "uploadId=\(upload)")
      #expect(parts.values(item.algorithm.elementName) == [sum])
      // Without an algorithm the upload has the default, and what a part says is compared.
      let plain = try await Self.begin(client, [])
      let plainQuery = "partNumber=1&uploadId=\(plain)"
      let wrong = try await item.send(
        client, "/bucket/m", query: plainQuery, body: body, summed: body + [0])
      #expect(wrong.outcome == "400 BadDigest")
      let taken = try await item.send(
        client, "/bucket/m", query: plainQuery, body: body, summed: body)
      #expect(taken.outcome == "200")
      #expect(taken.header(item.algorithm.headerName) == sum)
      let etag = try #require(taken.header("etag"))
      let done = try await Self.complete(client, plain, etag, inner: "")
      #expect(done.outcome == "200")
      #expect(
        done.values("ChecksumCRC64NVME") == [S3Client.checksum(.crc64nvme, body)])
    }
  }

  private static func begin(
    _ client: S3Client, _ headers: [(String, String)]
  ) async throws -> String {
    let begun = try await client.send("POST", "/bucket/m", query: "uploads=", headers: headers)
    return try #require(begun.values("UploadId").first)
  }

  private static func complete(
    _ client: S3Client, _ upload: String, _ etag: String, inner: String,
    headers: [(String, String)] = []
  ) async throws -> S3Answer {
    let text =
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\(etag)</ETag>\(inner)"
      + "</Part></CompleteMultipartUpload>"
    return try await client.send(
      "POST", "/bucket/m", query: "uploadId=\(upload)", headers: headers, body: Array(text.utf8))
  }

  @Test("a part with a checksum of another algorithm than its upload's is refused")
  func otherAlgorithm() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let body = Sample.bytes(20_000)
      for algorithm in ChecksumAlgorithm.allCases {
        let upload = try await Self.begin(
          client, [("x-amz-checksum-algorithm", algorithm.name)])
        for other in ChecksumAlgorithm.allCases where other != algorithm {
          for carrier in Carrier.allCases {
            let refused = try await Case(algorithm: other, carrier: carrier).send(
              client, "/bucket/m", query: "partNumber=1&uploadId=\(upload)", body: body,
              summed: body)
            #expect(refused.outcome == "400 InvalidRequest")
            #expect(
              refused.values("Message") == [
                "Checksum Type mismatch occurred, expected checksum Type: "
                  + "\(algorithm.name.lowercased()), actual checksum Type: "
                  + other.name.lowercased()
              ])
          }
        }
        let parts = try await client.send("GET", "/bucket/m", query: "uploadId=\(upload)")
        #expect(parts.values("PartNumber").isEmpty)
      }
    }
  }

  @Test(
    "Complete of an upload with a composite checksum names the checksum of each part",
    arguments: ChecksumAlgorithm.allCases)
  func composite(_ algorithm: ChecksumAlgorithm) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let body = Sample.bytes(30_000)
      let other: ChecksumAlgorithm = algorithm == .sha1 ? .sha256 : .sha1
      for type in algorithm.multipartTypes {
        let upload = try await Self.begin(
          client,
          [
            ("x-amz-checksum-algorithm", algorithm.name), ("x-amz-checksum-type", type.rawValue),
          ])
        let part = try await client.send(
          "PUT", "/bucket/m", query: "partNumber=1&uploadId=\(upload)", body: body)
        let etag = try #require(part.header("etag"))
        if type == .composite {
          for inner in [
            "",
            "<\(other.elementName)>\(S3Client.checksum(other, body))</\(other.elementName)>",
          ] {
            let refused = try await Self.complete(client, upload, etag, inner: inner)
            #expect(refused.outcome == "400 InvalidRequest", "\(inner)")
            #expect(
              refused.values("Message") == [
                "The upload was created using a \(algorithm.name.lowercased()) checksum. The "
                  + "complete request must include the checksum for each part. It was missing for "
                  + "part 1 in the request."
              ])
          }
          #expect(try await fixture.objectCount() == 0)
        }
        let sum = S3Client.checksum(algorithm, body)
        let inner =
          type == .composite
          ? "<\(algorithm.elementName)>\(sum)</\(algorithm.elementName)>" : ""
        for value in ChecksumType.allCases where value != type {
          let refused = try await Self.complete(
            client, upload, etag, inner: inner,
            headers: [("x-amz-checksum-type", value.rawValue)])
          #expect(refused.outcome == "400 InvalidRequest", "\(value)")
          #expect(
            refused.values("Message") == [
              "The upload was created using the \(type.rawValue) checksum mode. The complete "
                + "request must use the same checksum mode."
            ])
        }
        let done = try await Self.complete(
          client, upload, etag, inner: inner, headers: [("x-amz-checksum-type", type.rawValue)])
        #expect(done.outcome == "200")
        #expect(done.values("ChecksumType") == [type.rawValue])
        let again = try await Self.complete(
          client, upload, etag, inner: inner, headers: [("x-amz-checksum-type", type.rawValue)])
        #expect(again.body == done.body)
        #expect(try await client.send("GET", "/bucket/m").body == body)
        try await client.send("DELETE", "/bucket/m")
      }
    }
  }

  @Test("an upload without an algorithm is one with a checksum of the full object")
  func defaultType() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let upload = try await Self.begin(client, [])
      let part = try await client.send(
        "PUT", "/bucket/m", query: "partNumber=1&uploadId=\(upload)", body: [1, 2])
      let etag = try #require(part.header("etag"))
      for (value, expected) in [
        ("COMPOSITE", "400 InvalidRequest"), ("OTHER", "400 InvalidRequest"),
      ] {
        let refused = try await Self.complete(
          client, upload, etag, inner: "", headers: [("x-amz-checksum-type", value)])
        #expect(refused.outcome == expected)
        #expect(try await fixture.objectCount() == 0)
      }
      let done = try await Self.complete(
        client, upload, etag, inner: "", headers: [("x-amz-checksum-type", "FULL_OBJECT")])
      #expect(done.outcome == "200")
    }
  }
}
