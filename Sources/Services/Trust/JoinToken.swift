public import Base
import Crypto

/// What admits a storage server to the cluster: a public id, and a secret that never travels.
public struct JoinToken: Sendable, CustomStringConvertible, CustomReflectable {
  /// Tells token identifiers from others.
  public enum Kind {}
  /// Names a token.
  public typealias ID = ID128<Kind>

  private static let prefix = "s3join1_"
  static let secretByteCount = 32

  /// Names the token.
  public let id: ID
  let secret: [UInt8]

  init(id: ID, secret: [UInt8]) {
    self.id = id
    self.secret = secret
  }

  /// Reads what `text` made; nil for anything else.
  public init?(text: String) {
    guard text.hasPrefix(Self.prefix), text.utf8.count <= 128,
      let bytes = Base64.decodeURLSafe(String(text.dropFirst(Self.prefix.count))),
      bytes.count == 16 + Self.secretByteCount, let id = ID(bytes: bytes[..<16])
    else { return nil }
    self.id = id
    secret = Array(bytes[16...])
  }

  /// The token as it is handed to a person: a secret.
  public var text: String { Self.prefix + Base64.encodeURLSafe(id.bytes + secret) }

  /// The id alone.
  public var description: String { "<join token \(id)>" }

  /// Nothing: no dump shows the secret.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What is known of a token without its secret.
public struct JoinTokenRecord: Hashable, Sendable {
  /// Names the token.
  public var id: JoinToken.ID
  /// When it was made.
  public var created: Timestamp
  /// When it ends.
  public var expires: Timestamp
  /// How many servers may join with it; nil for any number.
  public var uses: Int?
  /// How many have.
  public var usedCount: Int
  /// The one storage server that it is for; nil for new ones.
  public var server: ServerID?
}
