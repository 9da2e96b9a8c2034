public import Base
import Crypto

/// A key-encryption key as it is stored: encrypted under the master key.
public struct WrappedKeyEncryptionKey: Hashable, Sendable {
  /// Bytes of `bytes`: nonce, ciphertext and tag.
  public static let byteCount =
    AESGCM.nonceByteCount + SecretKey.byteCount + AESGCM.tagByteCount

  /// The number of the key.
  public let number: UInt32
  /// Nonce (12), ciphertext (32) and tag (16).
  public let bytes: [UInt8]

  /// Takes a stored record; throws unless it has 60 bytes and a number from 1.
  public init(number: UInt32, bytes: [UInt8]) throws(FormatError) {
    guard number > 0 else { throw FormatError("key-encryption keys are numbered from 1") }
    guard bytes.count == Self.byteCount else {
      throw FormatError("a wrapped key-encryption key of \(bytes.count) bytes, not 60")
    }
    self.number = number
    self.bytes = bytes
  }

  init(_ number: UInt32, _ bytes: [UInt8]) {
    self.number = number
    self.bytes = bytes
  }
}

/// Wraps and unwraps the key-encryption keys of one cluster under one master key.
struct KeyWrapping {
  private let cluster: ClusterID
  private let cipher: AESGCM

  init(cluster: ClusterID, master: MasterKey) {
    self.cluster = cluster
    cipher = master.secret.deriveCipher(salt: cluster.bytes, info: Label.keyWrap)
  }

  func wrap(
    _ key: SecretKey, number: UInt32, random: (Int) -> [UInt8]
  ) -> WrappedKeyEncryptionKey {
    let nonce = AESGCMNonce.random(random)
    let sealed = key.withBytes { key in
      cipher.seal(key, nonce: nonce, additionalData: additionalData(number))
    }
    return WrappedKeyEncryptionKey(number, nonce.bytes + sealed)
  }

  func unwrap(_ record: WrappedKeyEncryptionKey) throws(SealingError) -> SecretKey {
    guard let nonce = AESGCMNonce(record.bytes.prefix(AESGCM.nonceByteCount)) else {
      throw .malformed(FormatError("a wrapped key without a nonce"))
    }
    do throws(CryptoError) {
      var key = try cipher.open(
        record.bytes.dropFirst(AESGCM.nonceByteCount), nonce: nonce,
        additionalData: additionalData(record.number))
      defer { SecretBytes.wipe(&key) }
      return SecretKey(key)
    } catch {
      throw .authenticationFailed
    }
  }

  private func additionalData(_ number: UInt32) -> [UInt8] {
    var writer = ByteWriter(capacity: 20)
    writer.write(cluster.bytes)
    writer.write(number)
    return writer.bytes
  }
}

extension AESGCMNonce {
  /// Twelve bytes that `random` yields. Precondition: it yields as many as it is asked for.
  static func random(_ random: (Int) -> [UInt8]) -> AESGCMNonce {
    guard let nonce = AESGCMNonce(random(AESGCM.nonceByteCount)) else {
      preconditionFailure("a random source yields as many bytes as it is asked for")
    }
    return nonce
  }
}
