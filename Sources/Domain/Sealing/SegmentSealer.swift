public import Base
import Crypto
import Synchronization

/// Encrypts the segments of one extent in their order, each once.
///
/// Safe to share, though segments are sealed one after the other.
public final class SegmentSealer: Sendable {
  private struct State {
    var nextIndex: UInt64 = 0
    var isFinished = false
  }

  /// The extent that is written.
  public let extent: ExtentID

  private let cipher: AESGCM
  private let additionalData: SegmentAdditionalData
  private let state = Mutex(State())

  init(extent: ExtentID, cipher: AESGCM) {
    self.extent = extent
    self.cipher = cipher
    additionalData = SegmentAdditionalData(extent)
  }

  /// Encrypts the next segment: ciphertext, and the tag right behind it.
  ///
  /// `plaintext` may be the front of `stored`, or else does not overlap it. Precondition: `stored` is
  /// 16 bytes longer than `plaintext`; a segment has at most 65,520 bytes, exactly as many when it is
  /// not the last, and none only when it is the first; nothing follows the last.
  public func seal(
    _ plaintext: UnsafeRawBufferPointer, into stored: UnsafeMutableRawBufferPointer, isLast: Bool
  ) {
    let count = plaintext.count
    precondition(count <= SegmentLayout.plaintextByteCount, "a segment has at most 65,520 bytes")
    precondition(isLast || count == SegmentLayout.plaintextByteCount, "only the last is shorter")
    precondition(stored.count == count + SegmentLayout.tagByteCount, "a tag has 16 bytes")
    // Under the lock, so that no index, and with it no nonce, is used twice.
    state.withLock { state in
      precondition(!state.isFinished, "nothing follows the last segment")
      precondition(count > 0 || state.nextIndex == 0, "an empty segment is the only one")
      unsafe additionalData.at(state.nextIndex, isLast: isLast).withBytes { additionalData in
        unsafe cipher.seal(
          plaintext, into: UnsafeMutableRawBufferPointer(rebasing: stored[..<count]),
          tag: UnsafeMutableRawBufferPointer(rebasing: stored[count...]),
          nonce: AESGCMNonce(counter: state.nextIndex), additionalData: additionalData)
      }
      state.nextIndex += 1
      state.isFinished = isLast
    }
  }

  /// Encrypts the next segment and returns it with its tag. Precondition: as for `seal(_:into:)`.
  public func seal(_ plaintext: [UInt8], isLast: Bool) -> [UInt8] {
    let length = plaintext.count + SegmentLayout.tagByteCount
    return unsafe [UInt8](unsafeUninitializedCapacity: length) { stored, count in
      unsafe plaintext.withUnsafeBytes { plaintext in
        unsafe seal(
          plaintext,
          into: UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(stored)[..<length]),
          isLast: isLast)
      }
      count = length
    }
  }
}
