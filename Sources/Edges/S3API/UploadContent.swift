import Base
import Checksums
import HTTPServer
import ObjectEngine
import S3Wire
import Signing

/// The content that a request brings, and everything that its headers and trailer say of it.
final class UploadContent {
  /// Checksums to compute: the one to keep first, and SHA-256 when the payload is signed.
  let algorithms: [ChecksumAlgorithm]
  /// The checksum that the client gave, once it was found to be right.
  private(set) var confirmed: Checksum?
  private let checksums: ChecksumHeaders
  private let payload: PayloadMode
  private let source: any ObjectSource
  private let chunked: ChunkedContent?

  /// Reads the headers. Throws `MissingContentLength`, `InvalidDigest`, `InvalidRequest`.
  ///
  /// `keeping` is the algorithm whose checksum is kept whatever the client gives one of, and
  /// `requiring` the only one that it may give one of: that which a multipart upload was created
  /// with.
  init(
    _ call: S3Call, keeping: ChecksumAlgorithm? = nil, requiring: ChecksumAlgorithm? = nil
  ) throws {
    checksums = try ChecksumHeaders(call.headers)
    payload = call.signed.payload
    if let requiring, let given = checksums.declared?.algorithm ?? checksums.trailerAlgorithm,
      given != requiring
    {
      throw S3Error(
        .invalidRequest,
        "Checksum Type mismatch occurred, expected checksum Type: "
          + "\(requiring.name.lowercased()), actual checksum Type: \(given.name.lowercased())")
    }
    let kept = keeping ?? checksums.algorithm ?? .crc64nvme
    var algorithms = [kept]
    if let given = checksums.algorithm, given != kept { algorithms.append(given) }
    if case .digest = payload, !algorithms.contains(.sha256) { algorithms.append(.sha256) }
    self.algorithms = algorithms
    guard payload.isChunked else {
      // A request without the header has no body; a client that meant one gets told.
      guard let length = call.request.body.contentLength, call.headers.contains("content-length")
      else {
        throw S3Error(.missingContentLength)
      }
      source = PlainContent(call.request.body, length: length)
      chunked = nil
      return
    }
    guard let length = try ChecksumHeaders.decodedContentLength(call.headers) else {
      throw S3Error(.missingContentLength)
    }
    guard
      let decoder = ChunkedBodyDecoder(
        mode: payload, signer: call.signed.chunkSigner(call.signingKey), decodedLength: length,
        expectedTrailers: checksums.announcedTrailers)
    else { throw S3Error(.invalidRequest) }
    let content = ChunkedContent(call.request.body, decoder: decoder, length: length)
    source = content
    chunked = content
  }

  /// Lends the source of the content.
  func withSource<R>(_ body: (any ObjectSource) async throws -> R) async throws -> R {
    try await body(source)
  }

  /// Compares what was computed with what the client said. Throws `BadDigest` and
  /// `XAmzContentSHA256Mismatch`.
  func check(_ digests: ContentDigests) throws {
    if let md5 = checksums.contentMD5, md5 != digests.md5 { throw S3Error(.badDigest) }
    if case .digest(let digest) = payload,
      digests.checksum(.sha256)?.bytes != digest.bytes
    {
      throw S3Error(.xAmzContentSHA256Mismatch)
    }
    if let declared = checksums.declared { try compare(declared, digests) }
    guard let algorithm = checksums.trailerAlgorithm else { return }
    let text = chunked?.trailers.first { $0.name == algorithm.headerName }?.value
    guard let text else {
      throw S3Error(.malformedTrailerError)
    }
    guard let sent = Checksum(algorithm: algorithm, text: text), sent.type == .fullObject else {
      throw S3Error(
        .invalidRequest, "Value for \(algorithm.headerName) trailing header is invalid.")
    }
    try compare(sent, digests)
  }

  private func compare(_ sent: Checksum, _ digests: ContentDigests) throws(S3Error) {
    guard digests.checksum(sent.algorithm)?.bytes == sent.bytes else {
      throw S3Error(
        .badDigest,
        "The \(sent.algorithm.name) you specified did not match the calculated checksum.")
    }
    confirmed = sent
  }
}

extension S3Service {
  /// The whole body of a request whose body is a document, checked like content.
  ///
  /// Throws what `UploadContent` throws, and `MaxMessageLengthExceeded` beyond `limit` bytes.
  func document(_ call: S3Call) async throws -> [UInt8] {
    let limit: Int
    switch call.operation.body {
    case .optional(let most), .required(let most): limit = most
    case .none, .stream: limit = 0
    }
    if call.request.body.contentLength == 0 && !call.signed.payload.isChunked { return [] }
    let content = try UploadContent(call)
    return try await content.withSource { source in
      guard let length = source.expectedLength, length <= Int64(limit) else {
        throw S3Error(.maxMessageLengthExceeded)
      }
      let (bytes, digests) = try await engine.collect(
        source, limit: limit, algorithms: content.algorithms)
      try content.check(digests)
      return bytes
    }
  }
}
