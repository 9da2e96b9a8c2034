public import Base
import Crypto

extension KeyRing {
  /// Opens an extent's key for reading its segments.
  ///
  /// Throws `customerKeyRequired` or `customerKeyNotExpected` when the record asks for the other
  /// thing, `unknownKeyEncryptionKey`, or `authenticationFailed` when the record was changed,
  /// belongs to another extent or to another customer's key.
  public func opener(
    for extent: ExtentID, wrappedKey: WrappedExtentKey, customerKey: CustomerKey? = nil
  ) throws(SealingError) -> SegmentOpener {
    let keyEncryptionKey = try key(wrappedKey.keyEncryptionKeyNumber)
    let wrapping: AESGCM
    switch (wrappedKey.kind, customerKey) {
    case (.keyEncryptionKey, nil):
      wrapping = ExtentKeys.wrapping(keyEncryptionKey: keyEncryptionKey, extent: extent)
    case (.customerKey, let customerKey?):
      wrapping = ExtentKeys.wrapping(customerKey: customerKey, extent: extent)
    case (.customerKey, nil):
      throw .customerKeyRequired
    case (.keyEncryptionKey, .some):
      throw .customerKeyNotExpected
    }
    do throws(CryptoError) {
      var extentKey = try wrapping.open(
        wrappedKey.sealedKey, nonce: .zero,
        additionalData: ExtentKeys.keyAdditionalData(
          extent, kind: wrappedKey.kind, number: wrappedKey.keyEncryptionKeyNumber))
      defer { SecretBytes.wipe(&extentKey) }
      return SegmentOpener(extent: extent, cipher: AESGCM(key: extentKey))
    } catch {
      throw .authenticationFailed
    }
  }

  /// Opens the descriptor of an extent; works without the customer's key too.
  ///
  /// Throws `unknownKeyEncryptionKey`, `authenticationFailed` when the bytes were changed or belong
  /// to another extent, or `malformed`.
  public func openDescriptor(
    _ sealed: [UInt8], of extent: ExtentID, wrappedKey: WrappedExtentKey
  ) throws(SealingError) -> ExtentDescriptor {
    guard sealed.count <= ExtentDescriptor.maximumSealedByteCount else {
      throw .malformed(FormatError("a sealed descriptor of \(sealed.count) bytes"))
    }
    let keys = ExtentKeys(
      keyEncryptionKey: try key(wrappedKey.keyEncryptionKeyNumber), extent: extent)
    let plaintext: [UInt8]
    do throws(CryptoError) {
      plaintext = try keys.descriptor.open(
        sealed, nonce: .zero, additionalData: ExtentKeys.descriptorAdditionalData(extent))
    } catch {
      throw .authenticationFailed
    }
    do throws(FormatError) {
      return try ExtentDescriptor(decoding: plaintext)
    } catch {
      throw .malformed(error)
    }
  }
}
