public import Base
import Crypto

/// The record that carries an extent's key, encrypted, in its chunks and in metadata: 53 bytes.
public struct WrappedExtentKey: Hashable, Sendable {
  /// What the extent key is wrapped with. Raw values are part of format 1.
  public enum Kind: UInt8, Hashable, Sendable {
    /// A key derived from a key-encryption key of the cluster.
    case keyEncryptionKey = 1
    /// A key derived from the client's own (SSE-C).
    case customerKey = 2
  }

  /// Bytes of a record: kind, number, ciphertext and tag.
  public static let byteCount = 1 + 4 + SecretKey.byteCount + AESGCM.tagByteCount

  /// What the extent key is wrapped with.
  public let kind: Kind
  /// The key-encryption key that wraps the extent key, or with SSE-C only seals the descriptor.
  public let keyEncryptionKeyNumber: UInt32

  let sealedKey: [UInt8]

  init(kind: Kind, keyEncryptionKeyNumber: UInt32, sealedKey: [UInt8]) {
    self.kind = kind
    self.keyEncryptionKeyNumber = keyEncryptionKeyNumber
    self.sealedKey = sealedKey
  }

  /// Decodes a record; throws unless it has 53 bytes, a known kind and a key number from 1.
  public init(_ bytes: some Collection<UInt8>) throws(FormatError) {
    guard bytes.count == Self.byteCount else {
      throw FormatError("a wrapped extent key of \(bytes.count) bytes, not 53")
    }
    var reader = ByteReader(Array(bytes))
    guard let kind = Kind(rawValue: try reader.readInteger()) else {
      throw FormatError("an extent key wrapped in an unknown way")
    }
    let number = try reader.readInteger(UInt32.self)
    guard number > 0 else { throw FormatError("key-encryption keys are numbered from 1") }
    self.kind = kind
    keyEncryptionKeyNumber = number
    sealedKey = Array(try reader.read(reader.remaining))
  }

  /// The 53 bytes.
  public var bytes: [UInt8] {
    var writer = ByteWriter(capacity: Self.byteCount)
    writer.write(kind.rawValue)
    writer.write(keyEncryptionKeyNumber)
    writer.write(sealedKey)
    return writer.bytes
  }
}
