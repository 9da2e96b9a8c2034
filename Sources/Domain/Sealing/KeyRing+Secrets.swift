import Base
import Crypto

extension KeyRing {
  /// The longest secret that `sealSecret` takes, in bytes.
  public static var maximumSecretByteCount: Int { 64 << 10 }

  /// Encrypts a small secret that metadata keeps, such as a secret access key.
  ///
  /// `context` names where it is kept and must be the same to open it, so that it cannot be moved.
  /// The result is 32 bytes longer than the secret. Precondition: the secret has at most 64 KiB;
  /// `random` yields as many bytes as it is asked for, never the same twice.
  public func sealSecret(
    _ secret: [UInt8], context: [UInt8], random: (Int) -> [UInt8]
  ) -> [UInt8] {
    precondition(secret.count <= Self.maximumSecretByteCount, "a secret has at most 64 KiB")
    let (number, key) = current
    let nonce = AESGCMNonce.random(random)
    var writer = ByteWriter(capacity: secret.count + 32)
    writer.write(number)
    writer.write(nonce.bytes)
    writer.write(key.deriveCipher(salt: context, info: Label.secret).seal(secret, nonce: nonce))
    return writer.bytes
  }

  /// Decrypts what `sealSecret` made for the same context.
  ///
  /// Throws `malformed` for bytes too short or long, `unknownKeyEncryptionKey`, or
  /// `authenticationFailed` when they were changed or belong to another context.
  public func openSecret(_ sealed: [UInt8], context: [UInt8]) throws(SealingError) -> [UInt8] {
    let number: UInt32
    let nonce: AESGCMNonce?
    var reader = ByteReader(sealed)
    do throws(FormatError) {
      number = try reader.readInteger()
      nonce = AESGCMNonce(try reader.read(AESGCM.nonceByteCount))
    } catch {
      throw .malformed(error)
    }
    guard let nonce, reader.remaining <= Self.maximumSecretByteCount + AESGCM.tagByteCount else {
      throw .malformed(FormatError("a sealed secret of \(sealed.count) bytes"))
    }
    let cipher = try key(number).deriveCipher(salt: context, info: Label.secret)
    do throws(CryptoError) {
      return try cipher.open(sealed[reader.position...], nonce: nonce)
    } catch {
      throw .authenticationFailed
    }
  }
}
