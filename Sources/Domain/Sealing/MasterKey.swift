public import Base
import Crypto

/// The root of the key hierarchy: it wraps the key-encryption keys and nothing else.
///
/// Who loses it loses all data; it is wiped from memory with its last copy.
public struct MasterKey: Sendable, CustomStringConvertible {
  /// Bytes of a master key.
  public static let byteCount = SecretKey.byteCount
  /// Bytes of a key-check value.
  public static let checkValueByteCount = 16

  private static let fileHeader = "s3storage-master-key-1"
  private static let fileCheckByteCount = 4

  let secret: SecretKey

  /// Takes exactly 32 bytes; nil for any other count.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    secret = SecretKey(bytes)
  }

  /// Makes a new key of 32 bytes that `random` yields.
  ///
  /// Precondition: `random` yields as many bytes as it is asked for, and unpredictable ones.
  public init(random: (Int) -> [UInt8]) {
    secret = SecretKey(random(Self.byteCount))
  }

  /// Parses the text of a master key file; blanks at the ends of its lines do not matter.
  ///
  /// Throws an error that tells an operator what is wrong with the text, without quoting it.
  public init(text: String) throws(FormatError) {
    guard text.utf8.count <= 1024 else { throw FormatError("not a master key: it is too long") }
    let lines = text.split(whereSeparator: \.isNewline).map { line in
      line.filter { $0 != " " && $0 != "\t" }
    }.filter { !$0.isEmpty }
    guard lines.first == Self.fileHeader else {
      throw FormatError("not a master key: its first line is not \(Self.fileHeader)")
    }
    guard lines.count == 2 else {
      throw FormatError("a master key has two lines, this one \(lines.count)")
    }
    guard var bytes = Base64.decode(lines[1]) else {
      throw FormatError("the second line of the master key is not Base64: is it complete?")
    }
    defer { SecretBytes.wipe(&bytes) }
    guard bytes.count == Self.byteCount + Self.fileCheckByteCount else {
      throw FormatError("the second line of the master key holds \(bytes.count) bytes, not 36")
    }
    let key = Array(bytes[..<Self.byteCount])
    guard ConstantTime.equals(Self.fileCheck(key), Array(bytes[Self.byteCount...])) else {
      throw FormatError("the master key was mistyped or damaged: its check does not fit")
    }
    secret = SecretKey(key)
  }

  /// The text of a master key file: two lines, each with a line feed.
  public var text: String {
    secret.withBytes { key in
      "\(Self.fileHeader)\n\(Base64.encode(key + Self.fileCheck(key)))\n"
    }
  }

  /// Sixteen bytes that tell whether two processes of a cluster have the same master key.
  ///
  /// They reveal nothing about it and may be stored in the open.
  public func checkValue(cluster: ClusterID) -> [UInt8] {
    secret.withBytes { key in
      Array(
        HMAC.sha256(key: key, message: Label.masterCheck + cluster.bytes)
          .prefix(Self.checkValueByteCount))
    }
  }

  private static func fileCheck(_ key: [UInt8]) -> [UInt8] {
    Array(Digest.hash(.sha256, Label.masterKeyFile + key).prefix(fileCheckByteCount))
  }

  /// Not the key.
  public var description: String { "<master key>" }
}

/// A key that an S3 client gives with its request and that is never stored (SSE-C).
public struct CustomerKey: Sendable, CustomStringConvertible {
  /// Bytes of a customer's key.
  public static let byteCount = SecretKey.byteCount

  let secret: SecretKey

  /// Takes exactly 32 bytes; nil for any other count.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    secret = SecretKey(bytes)
  }

  /// Not the key.
  public var description: String { "<customer key>" }
}
