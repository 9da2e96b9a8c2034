import Base
import Checksums
import Crypto
import Runtime
import Signing
import TestSupport

typealias S3Answer = HTTPAnswer

extension HTTPAnswer {
  /// The error code of the body, empty when there is none.
  var code: String { values("Code").first ?? "" }

  /// Status and code, to compare at once.
  var outcome: String { code.isEmpty ? "\(status)" : "\(status) \(code)" }

  /// The texts of all elements of a name, in order.
  func values(_ element: String) -> [String] {
    var result: [String] = []
    var rest = text[...]
    while let start = rest.firstRange(of: "<\(element)>") {
      rest = rest[start.upperBound...]
      guard let end = rest.firstRange(of: "</\(element)>") else { break }
      result.append(Self.unescape(rest[..<end.lowerBound]))
      rest = rest[end.upperBound...]
    }
    return result
  }

  private static func unescape(_ text: Substring) -> String {
    var text = text.replacing("&lt;", with: "<").replacing("&gt;", with: ">")
    text = text.replacing("&quot;", with: "\"").replacing("&apos;", with: "'")
    text = text.replacing("&#13;", with: "\r").replacing("&#xD;", with: "\r")
    return String(text.replacing("&#10;", with: "\n").replacing("&amp;", with: "&"))
  }
}

/// A request as it goes over the wire, for tests to spoil.
struct WireRequest: Sendable {
  var method: String
  var path: String
  var query: String
  var fields: [(name: String, value: String)]
  var body: [UInt8]

  var bytes: [UInt8] {
    var head = "\(method) \(path)\(query.isEmpty ? "" : "?" + query) HTTP/1.1\r\n"
    for field in fields { head += "\(field.name): \(field.value)\r\n" }
    return Array((head + "\r\n").utf8) + body
  }

  mutating func set(_ name: String, _ value: String) {
    fields.removeAll { $0.name.lowercased() == name }
    fields.append((name, value))
  }
}

/// How a request shows who sends it.
enum Authentication: Sendable {
  case header, presigned(seconds: Int), none
}

/// How a body goes over the wire.
enum Payload: Sendable {
  case digest, unsigned, signedChunks
  case signedTrailer(ChecksumAlgorithm)
  case unsignedTrailer(ChecksumAlgorithm)
}

/// A client that signs with one key and sends each request over a connection of its own.
struct S3Client: Sendable {
  private static let threads = ThreadPool(name: "s3-client", threadCount: 8)

  var port: UInt16
  var accessKey: String
  var secret: String
  var clock: ManualClock
  var region = "eu-test-1"
  /// Seconds that this client's clock is ahead.
  var skew: Int64 = 0
  var chunkBytes = 65_536

  var now: Timestamp { clock.now.advanced(byMilliseconds: skew * 1000) }
  var signer: RequestSigner {
    RequestSigner(accessKeyID: accessKey, secretKey: secret, region: region)
  }

  /// Signs and sends a request; `spoil` changes it after it was signed, and `summed` is what the
  /// checksum of a trailer is computed over where that is not the body.
  @discardableResult
  func send(
    _ method: String, _ path: String, query: String = "", headers: [(String, String)] = [],
    body: [UInt8] = [], payload: Payload = .digest, as authentication: Authentication = .header,
    host: String? = nil, trailerOf summed: [UInt8]? = nil,
    spoil: (inout WireRequest) -> Void = { _ in }
  ) async throws -> S3Answer {
    var request = try make(
      method, path, query: query, headers: headers, body: body, payload: payload,
      as: authentication, host: host, trailerOf: summed)
    spoil(&request)
    return try await exchange(request.bytes)
  }

  /// The request, signed.
  func make(
    _ method: String, _ path: String, query: String = "", headers: [(String, String)] = [],
    body: [UInt8] = [], payload: Payload = .digest, as authentication: Authentication = .header,
    host: String? = nil, trailerOf summed: [UInt8]? = nil
  ) throws -> WireRequest {
    var fields = [("host", host ?? "127.0.0.1:\(port)")] + headers
    var request = WireRequest(method: method, path: path, query: query, fields: [], body: body)
    switch authentication {
    case .none: break
    case .presigned(let seconds):
      request.query = try presign(method, path, query, fields, seconds)
    case .header:
      let (mode, extra, trailers) = frame(payload, body, summed ?? body)
      fields += extra
      let signed = try signer.sign(
        method: method, rawPath: path, rawQuery: query,
        fields: fields.map { .init($0.0, $0.1) }, payload: mode, now: now)
      fields = signed.fields.map {
        (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self))
      }
      if mode.isChunked {
        let isSigned: Bool
        if case .unsignedChunksAndTrailer = mode { isSigned = false } else { isSigned = true }
        request.body = ChunkedBodyEncoder.encode(
          body, signer: isSigned ? signed.chunkSigner : nil, trailers: trailers,
          chunkBytes: chunkBytes)
      }
    }
    if !request.body.isEmpty || method == "PUT" || method == "POST" {
      fields.append(("content-length", "\(request.body.count)"))
    }
    request.fields = fields.map { (name: $0.0, value: $0.1) } + [("connection", "close")]
    return request
  }

  private func presign(
    _ method: String, _ path: String, _ query: String, _ fields: [(String, String)],
    _ seconds: Int
  ) throws -> String {
    let parameters = query.split(separator: "&").map { pair -> (name: String, value: String) in
      let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
      return (parts[0], parts.count > 1 ? parts[1] : "")
    }
    return try signer.presignedQuery(
      method: method, rawPath: path, parameters: parameters,
      fields: fields.map { .init($0.0, $0.1) }, expirySeconds: seconds, now: now)
  }

  /// The payload mode, the headers that it needs, and its trailer.
  private func frame(
    _ payload: Payload, _ body: [UInt8], _ summed: [UInt8]
  ) -> (PayloadMode, [(String, String)], [(name: String, value: String)]?) {
    let length = [
      ("x-amz-decoded-content-length", "\(body.count)"), ("content-encoding", "aws-chunked"),
    ]
    switch payload {
    case .digest: return (.digest(Digest.sha256(body)), [], nil)
    case .unsigned: return (.unsigned, [], nil)
    case .signedChunks: return (.signedChunks, length, nil)
    case .signedTrailer(let algorithm):
      let trailer = (name: algorithm.headerName, value: Self.checksum(algorithm, summed))
      return (.signedChunksAndTrailer, length + [("x-amz-trailer", trailer.name)], [trailer])
    case .unsignedTrailer(let algorithm):
      let trailer = (name: algorithm.headerName, value: Self.checksum(algorithm, summed))
      return (.unsignedChunksAndTrailer, length + [("x-amz-trailer", trailer.name)], [trailer])
    }
  }

  /// The checksum of some bytes as a header carries it.
  static func checksum(_ algorithm: ChecksumAlgorithm, _ body: [UInt8]) -> String {
    ChecksumHasher.checksum(algorithm, of: body).description
  }

  /// Sends bytes over a new connection and reads the answer.
  func exchange(_ bytes: [UInt8]) async throws -> S3Answer {
    let port = port
    return try await Self.threads.run {
      let connection = try LoopbackConnection(port: port)
      connection.send(bytes)
      return try S3Answer(parsing: connection.receiveAll())
    }
  }
}

extension Digest {
  static func sha256(_ bytes: [UInt8]) -> SHA256Digest {
    guard let digest = SHA256Digest(Digest.hash(.sha256, bytes)) else {
      preconditionFailure("a SHA-256 has 32 bytes")
    }
    return digest
  }
}
