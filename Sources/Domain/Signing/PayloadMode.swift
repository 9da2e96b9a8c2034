public import Base

/// How the body of a request is covered by its signature: the value of `x-amz-content-sha256`.
public enum PayloadMode: Hashable, Sendable {
  /// By the SHA-256 of the whole body, to be compared once the body was read.
  case digest(SHA256Digest)
  /// Not at all: `UNSIGNED-PAYLOAD`.
  case unsigned
  /// Chunk by chunk: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
  case signedChunks
  /// Chunk by chunk, and then the trailer: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`.
  case signedChunksAndTrailer
  /// Not at all, in chunks with a trailer: `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
  case unsignedChunksAndTrailer

  /// Reads the value of the header; nil for any other value.
  public init?(_ value: ArraySlice<UInt8>) {
    switch String(decoding: value, as: UTF8.self) {
    case Self.unsignedName: self = .unsigned
    case Self.signedChunksName: self = .signedChunks
    case Self.signedChunksAndTrailerName: self = .signedChunksAndTrailer
    case Self.unsignedChunksAndTrailerName: self = .unsignedChunksAndTrailer
    default:
      guard let bytes = CanonicalEncoding.digest(value), let digest = SHA256Digest(bytes)
      else { return nil }
      self = .digest(digest)
    }
  }

  /// The value of the header.
  public var headerValue: String {
    switch self {
    case .digest(let digest): digest.description
    case .unsigned: Self.unsignedName
    case .signedChunks: Self.signedChunksName
    case .signedChunksAndTrailer: Self.signedChunksAndTrailerName
    case .unsignedChunksAndTrailer: Self.unsignedChunksAndTrailerName
    }
  }

  /// Whether the body comes in `aws-chunked` framing and goes through `ChunkedBodyDecoder`.
  public var isChunked: Bool {
    switch self {
    case .digest, .unsigned: false
    case .signedChunks, .signedChunksAndTrailer, .unsignedChunksAndTrailer: true
    }
  }

  /// Whether the body ends with a trailer.
  public var hasTrailer: Bool {
    switch self {
    case .digest, .unsigned, .signedChunks: false
    case .signedChunksAndTrailer, .unsignedChunksAndTrailer: true
    }
  }

  private static let unsignedName = "UNSIGNED-PAYLOAD"
  private static let signedChunksName = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
  private static let signedChunksAndTrailerName = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
  private static let unsignedChunksAndTrailerName = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
}
