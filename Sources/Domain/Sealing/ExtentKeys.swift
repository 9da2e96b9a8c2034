import Base
import Crypto

/// The two keys that a key-encryption key yields for one extent id.
struct ExtentKeys {
  /// Encrypts the extent key, once.
  let wrapping: AESGCM
  /// Encrypts the descriptor, once.
  let descriptor: AESGCM

  init(keyEncryptionKey: SecretKey, extent: ExtentID) {
    var keys = keyEncryptionKey.derive(salt: extent.bytes, info: Label.extent, count: 64)
    defer { SecretBytes.wipe(&keys) }
    (wrapping, descriptor) = unsafe keys.withUnsafeBytes { keys in
      unsafe (
        AESGCM(key: UnsafeRawBufferPointer(rebasing: keys[..<32])),
        AESGCM(key: UnsafeRawBufferPointer(rebasing: keys[32...]))
      )
    }
  }

  /// The first of the two keys alone: HKDF yields its bytes in order, so that fewer cost less.
  static func wrapping(keyEncryptionKey: SecretKey, extent: ExtentID) -> AESGCM {
    keyEncryptionKey.deriveCipher(salt: extent.bytes, info: Label.extent)
  }

  /// The wrapping key that a customer's key yields for one extent id.
  static func wrapping(customerKey: CustomerKey, extent: ExtentID) -> AESGCM {
    customerKey.secret.deriveCipher(salt: extent.bytes, info: Label.customer)
  }

  /// What the record of an extent key is bound to. The number of the key-encryption key is bound by
  /// that key itself where it wraps; a customer's key does not know it.
  static func keyAdditionalData(
    _ extent: ExtentID, kind: WrappedExtentKey.Kind, number: UInt32
  ) -> [UInt8] {
    let common = Label.extentKey + extent.bytes
    guard kind == .customerKey else { return common }
    var writer = ByteWriter(capacity: common.count + 4)
    writer.write(common)
    writer.write(number)
    return writer.bytes
  }

  static func descriptorAdditionalData(_ extent: ExtentID) -> [UInt8] {
    Label.descriptor + extent.bytes
  }
}
