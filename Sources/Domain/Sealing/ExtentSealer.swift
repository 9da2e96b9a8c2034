public import Base
import Crypto
import Synchronization

/// What one attempt to write an extent needs: its segments' cipher, the wrapped key, the descriptor's
/// cipher.
///
/// Made for a fresh extent id; the id is never used for another attempt. Safe to share.
public final class ExtentSealer: Sendable {
  /// The extent that is written.
  public let extent: ExtentID
  /// The record that lets the cluster, or the customer, read the extent again.
  public let wrappedKey: WrappedExtentKey
  /// The cipher of the segments.
  public let segments: SegmentSealer

  private let descriptorCipher: AESGCM
  private let descriptor = Mutex<(plaintext: [UInt8], sealed: [UInt8])?>(nil)

  init(
    extent: ExtentID, wrappedKey: WrappedExtentKey, segmentCipher: AESGCM, descriptorCipher: AESGCM
  ) {
    self.extent = extent
    self.wrappedKey = wrappedKey
    segments = SegmentSealer(extent: extent, cipher: segmentCipher)
    self.descriptorCipher = descriptorCipher
  }

  /// Encodes, pads and encrypts the descriptor of the extent.
  ///
  /// Its key serves one plaintext only: sealing the same descriptor again gives the same bytes, and
  /// another one is refused. Throws when a field is longer than the format allows, or for a second
  /// descriptor that differs from the first.
  public func sealDescriptor(_ value: ExtentDescriptor) throws(FormatError) -> [UInt8] {
    let plaintext = try value.encoded()
    let sealed: [UInt8]? = descriptor.withLock { known in
      if let known { return known.plaintext == plaintext ? known.sealed : nil }
      let sealed = descriptorCipher.seal(
        plaintext, nonce: .zero, additionalData: ExtentKeys.descriptorAdditionalData(extent))
      known = (plaintext, sealed)
      return sealed
    }
    guard let sealed else { throw FormatError("an extent has one descriptor") }
    return sealed
  }
}

extension KeyRing {
  /// Makes the keys of one attempt to write an extent.
  ///
  /// With `customerKey` only who has it reads the data again; the descriptor stays readable for the
  /// cluster. Precondition: `extent` was never used before: each attempt to write has an id of its
  /// own; `random` yields as many bytes as it is asked for, and unpredictable ones.
  public func sealer(
    for extent: ExtentID, customerKey: CustomerKey? = nil, random: (Int) -> [UInt8]
  ) -> ExtentSealer {
    let (number, keyEncryptionKey) = current
    let keys = ExtentKeys(keyEncryptionKey: keyEncryptionKey, extent: extent)
    let wrapping =
      customerKey.map { ExtentKeys.wrapping(customerKey: $0, extent: extent) } ?? keys.wrapping
    var extentKey = random(SecretKey.byteCount)
    defer { SecretBytes.wipe(&extentKey) }
    let kind: WrappedExtentKey.Kind = customerKey == nil ? .keyEncryptionKey : .customerKey
    let sealedKey = wrapping.seal(
      extentKey, nonce: .zero,
      additionalData: ExtentKeys.keyAdditionalData(extent, kind: kind, number: number))
    return ExtentSealer(
      extent: extent,
      wrappedKey: WrappedExtentKey(
        kind: kind, keyEncryptionKeyNumber: number, sealedKey: sealedKey),
      segmentCipher: AESGCM(key: extentKey), descriptorCipher: keys.descriptor)
  }
}
