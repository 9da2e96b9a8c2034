internal import Crypto

/// The chain of signatures of an `aws-chunked` body: each covers the one before it.
public struct ChunkSigner: Sendable {
  private let key: SigningKey
  private let head: [UInt8]
  private var previous: [UInt8]

  /// Starts the chain from the signature of the request's head.
  public init(key: SigningKey, time: String, scope: CredentialScope, seed: [UInt8]) {
    self.key = key
    head = Array("\n\(time)\n\(scope.text)\n".utf8)
    previous = seed
  }

  /// The next signature, of a chunk with this SHA-256: 32 bytes.
  public mutating func chunk(digest: [UInt8]) -> [UInt8] {
    var text = Array("AWS4-HMAC-SHA256-PAYLOAD".utf8)
    text.append(contentsOf: head)
    CanonicalEncoding.appendHex(previous, to: &text)
    text.append(0x0a)
    text.append(contentsOf: Self.emptyDigest)
    text.append(0x0a)
    CanonicalEncoding.appendHex(digest, to: &text)
    previous = key.signature(of: text)
    return previous
  }

  /// The last signature, of the trailer's lines: each `name:value` and a line feed.
  public mutating func trailer(_ lines: [UInt8]) -> [UInt8] {
    var text = Array("AWS4-HMAC-SHA256-TRAILER".utf8)
    text.append(contentsOf: head)
    CanonicalEncoding.appendHex(previous, to: &text)
    text.append(0x0a)
    CanonicalEncoding.appendHex(Digest.hash(.sha256, lines), to: &text)
    previous = key.signature(of: text)
    return previous
  }

  private static let emptyDigest = Array(
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".utf8)
}
