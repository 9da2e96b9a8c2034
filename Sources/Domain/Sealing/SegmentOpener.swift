public import Base
import Crypto

/// Decrypts the segments of one extent, in any order.
///
/// Safe to share; segments that are opened at once wait for each other, so use one opener for each
/// task that works in parallel.
public final class SegmentOpener: Sendable {
  /// The extent that is read.
  public let extent: ExtentID

  private let cipher: AESGCM
  private let additionalData: SegmentAdditionalData

  init(extent: ExtentID, cipher: AESGCM) {
    self.extent = extent
    self.cipher = cipher
    additionalData = SegmentAdditionalData(extent)
  }

  /// Decrypts segment `index` from ciphertext with the tag behind it.
  ///
  /// `plaintext` may be the front of `stored`, or else does not overlap it. Throws
  /// `authenticationFailed` when the bytes were changed, have a length that no such segment has, or
  /// belong to another extent, index or end; `plaintext` is zero then. Precondition: `stored` has at
  /// least 16 bytes, `plaintext` 16 fewer than it.
  public func open(
    _ stored: UnsafeRawBufferPointer, into plaintext: UnsafeMutableRawBufferPointer,
    index: UInt64, isLast: Bool
  ) throws(SealingError) {
    try unsafe open([stored], into: plaintext, index: index, isLast: isLast)
  }

  /// Decrypts segment `index` from ciphertext and tag that lie in several runs, in their order.
  ///
  /// Throws like the form for one run. Precondition: all runs together are 16 bytes longer than
  /// `plaintext`, which may be the front of the only one, or else overlaps none.
  public func open(
    _ runs: [UnsafeRawBufferPointer], into plaintext: UnsafeMutableRawBufferPointer,
    index: UInt64, isLast: Bool
  ) throws(SealingError) {
    var ciphertext: [UnsafeRawBufferPointer] = unsafe []
    var tag: [16 of UInt8] = .init(repeating: 0)
    var tagCount = 0
    var left = plaintext.count
    for number in unsafe runs.indices {
      let run = unsafe runs[number]
      let count = min(left, run.count)
      if count > 0 {
        unsafe ciphertext.append(UnsafeRawBufferPointer(rebasing: run[..<count]))
      }
      left -= count
      for position in count..<run.count {
        precondition(tagCount < tag.count, "a tag has 16 bytes")
        unsafe tag[tagCount] = run[position]
        tagCount += 1
      }
    }
    precondition(left == 0 && tagCount == tag.count, "a tag has 16 bytes")
    let count = plaintext.count
    let isValidLength =
      isLast
      ? count <= SegmentLayout.plaintextByteCount && (count > 0 || index == 0)
      : count == SegmentLayout.plaintextByteCount
    guard isValidLength else {
      unsafe SecretBytes.wipe(plaintext)
      throw .authenticationFailed
    }
    do throws(CryptoError) {
      try unsafe additionalData.at(index, isLast: isLast).withBytes {
        additionalData throws(CryptoError) in
        try unsafe withUnsafeBytes(of: tag) { tag throws(CryptoError) in
          try unsafe cipher.open(
            ciphertext, into: plaintext, tag: tag, nonce: AESGCMNonce(counter: index),
            additionalData: additionalData)
        }
      }
    } catch {
      throw .authenticationFailed
    }
  }

  /// Decrypts segment `index` from ciphertext with the tag behind it; throws like the other form,
  /// and for bytes too short for a tag.
  public func open(
    _ stored: [UInt8], index: UInt64, isLast: Bool
  ) throws(SealingError) -> [UInt8] {
    guard stored.count >= SegmentLayout.tagByteCount else { throw .authenticationFailed }
    var plaintext = [UInt8](repeating: 0, count: stored.count - SegmentLayout.tagByteCount)
    let failure: SealingError? = unsafe stored.withUnsafeBytes { stored in
      unsafe plaintext.withUnsafeMutableBytes { plaintext in
        do throws(SealingError) {
          try unsafe open(stored, into: plaintext, index: index, isLast: isLast)
          return nil
        } catch {
          return error
        }
      }
    }
    if let failure { throw failure }
    return plaintext
  }
}
