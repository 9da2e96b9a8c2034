internal import Base
public import Checksums

/// What a request says about the checksum of its body.
public struct ChecksumHeaders: Hashable, Sendable {
  /// `Content-MD5`: 16 bytes.
  public var contentMD5: [UInt8]?
  /// The value of the one `x-amz-checksum-…` header.
  public var declared: Checksum?
  /// The algorithm whose value the trailer brings.
  public var trailerAlgorithm: ChecksumAlgorithm?
  /// The lower-case names announced in `x-amz-trailer`.
  public var announcedTrailers: [String] = []
  /// `x-amz-checksum-algorithm` of a new multipart upload or of a copy.
  public var requestedAlgorithm: ChecksumAlgorithm?
  /// `x-amz-checksum-type`.
  public var type: ChecksumType?

  /// The algorithm that the body is to be digested with; nil when the client named none.
  public var algorithm: ChecksumAlgorithm? {
    declared?.algorithm ?? trailerAlgorithm ?? requestedAlgorithm
  }

  /// Reads the headers; throws `InvalidDigest`, `InvalidRequest` and `InvalidArgument`.
  ///
  /// - Parameter isComplete: whether the operation is CompleteMultipartUpload, where a value may be
  ///   that of a composite checksum.
  public init(_ headers: RequestHeaders, isComplete: Bool = false) throws(S3Error) {
    contentMD5 = try Self.contentMD5(headers)
    declared = try Self.declared(headers, isComplete: isComplete)
    announcedTrailers = try Self.trailers(headers)
    for name in announcedTrailers {
      guard let algorithm = ChecksumAlgorithm(headerName: name) else {
        throw S3Error(
          .invalidRequest, "The value specified in the x-amz-trailer header is not supported")
      }
      guard trailerAlgorithm == nil, declared == nil else { throw Self.several }
      trailerAlgorithm = algorithm
    }
    requestedAlgorithm = try Self.algorithm(headers, "x-amz-checksum-algorithm")
    if let text = try headers.single("x-amz-checksum-type") {
      guard let value = ChecksumType(rawValue: text.uppercased()) else {
        throw S3Error(.invalidRequest, "Value for x-amz-checksum-type header is invalid.")
      }
      type = value
    }
    try checkSDKAlgorithm(headers)
  }

  /// Whether `x-amz-checksum-mode: ENABLED` asks for the checksum in the answer of a read.
  public static func isRequested(_ headers: RequestHeaders) -> Bool {
    headers.text("x-amz-checksum-mode")?.uppercased() == "ENABLED"
  }

  /// `x-amz-decoded-content-length`; nil when it was not sent, `InvalidArgument` when it is no
  /// length.
  public static func decodedContentLength(_ headers: RequestHeaders) throws(S3Error) -> Int? {
    let name = "x-amz-decoded-content-length"
    guard let text = try headers.single(name) else { return nil }
    guard (1...18).contains(text.utf8.count),
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text)
    else { throw .invalidArgument("The header \(name) is not a length.", name: name, value: text) }
    return value
  }

  private static func contentMD5(_ headers: RequestHeaders) throws(S3Error) -> [UInt8]? {
    guard let text = try headers.single("content-md5") else { return nil }
    guard text.utf8.count == 24, let bytes = Base64.decode(text), bytes.count == 16 else {
      throw S3Error(
        .invalidDigest, "The Content-MD5 you specified was invalid.",
        details: [.init("Content-MD5", String(text.prefix(64)))])
    }
    return bytes
  }

  private static func declared(
    _ headers: RequestHeaders, isComplete: Bool
  ) throws(S3Error) -> Checksum? {
    var result: Checksum?
    for field in headers.fields {
      guard field.name.count > 15, RequestHeaders.matches(field.name.prefix(15), "x-amz-checksum-")
      else { continue }
      let name = String(decoding: field.name, as: UTF8.self).lowercased()
      if otherNames.contains(name) { continue }
      guard let algorithm = ChecksumAlgorithm(headerName: name) else {
        throw S3Error(
          .invalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
      }
      guard result == nil else { throw several }
      let value = Checksum(algorithm: algorithm, text: RequestHeaders.text(field.value))
      guard let value, isComplete || value.type == .fullObject else {
        throw S3Error(.invalidRequest, "Value for \(name) header is invalid.")
      }
      result = value
    }
    return result
  }

  private static func trailers(_ headers: RequestHeaders) throws(S3Error) -> [String] {
    guard let text = headers.joined("x-amz-trailer") else { return [] }
    let names = text.split { $0 == "," || $0 == " " || $0 == "\t" }.map { $0.lowercased() }
    guard names.count <= 8 else { throw several }
    return names
  }

  private static func algorithm(
    _ headers: RequestHeaders, _ name: String
  ) throws(S3Error) -> ChecksumAlgorithm? {
    guard let text = try headers.single(name) else { return nil }
    guard let algorithm = ChecksumAlgorithm(name: text) else {
      throw S3Error(
        .invalidRequest,
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
          + "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    }
    return algorithm
  }

  private func checkSDKAlgorithm(_ headers: RequestHeaders) throws(S3Error) {
    let name = "x-amz-sdk-checksum-algorithm"
    guard let algorithm = try Self.algorithm(headers, name) else { return }
    guard let sent = declared?.algorithm ?? trailerAlgorithm else {
      // A body checked by Content-MD5 alone, or none at all, needs no other checksum.
      if contentMD5 != nil { return }
      throw S3Error(
        .invalidRequest,
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
          + "x-amz-trailer headers were found.")
    }
    guard sent == algorithm else {
      throw S3Error(.invalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    }
  }

  private static let otherNames: Set<String> = [
    "x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type",
  ]

  private static let several = S3Error(
    .invalidRequest,
    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}
