import Base
import Glibc

/// Memory that starts on a 4 KiB boundary, as direct input and output need it.
///
/// A buffer has one owner at a time; whoever holds it may read and write it from any thread, two
/// holders at once may not. It is handed from task to task by passing the reference on.
@safe
public final class AlignedBuffer: @unchecked Sendable {
  /// What the start and, for direct I/O, the length of a transfer are multiples of.
  public static let alignment = 4096

  /// Usable bytes.
  public let count: Int

  /// The first byte, valid while the buffer lives. For wrappers of C functions only.
  public let unsafeBase: UnsafeMutableRawPointer

  /// Allocates at least `count` bytes, rounded up to the alignment; their content is undefined.
  ///
  /// Precondition: `count` is positive.
  public init(count: Int) {
    precondition(count > 0, "a buffer is not empty")
    self.count = ByteCount.roundUp(count, to: Self.alignment)
    unsafe unsafeBase = UnsafeMutableRawPointer.allocate(
      byteCount: self.count, alignment: Self.alignment)
  }

  deinit {
    unsafe unsafeBase.deallocate()
  }

  /// Lends the bytes of `range` for reading. Precondition: `range` lies in the buffer.
  @inlinable
  public func withBytes<R, E: Error>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the buffer")
    return try unsafe body(
      UnsafeRawBufferPointer(start: unsafeBase + range.lowerBound, count: range.count))
  }

  /// Lends the bytes of `range` for writing. Precondition: `range` lies in the buffer.
  @inlinable
  public func withMutableBytes<R, E: Error>(
    _ range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the buffer")
    return try unsafe body(
      UnsafeMutableRawBufferPointer(start: unsafeBase + range.lowerBound, count: range.count))
  }

  /// A copy of the bytes of `range`. Precondition: `range` lies in the buffer.
  public func bytes(_ range: Range<Int>) -> [UInt8] {
    unsafe withBytes(range) { unsafe Array($0) }
  }

  /// Copies `source` to `offset`. Precondition: it fits.
  public func copy(_ source: [UInt8], at offset: Int = 0) {
    unsafe withMutableBytes(offset..<offset + source.count) { target in
      unsafe target.copyBytes(from: source)
    }
  }

  /// Copies `range` of `source` to `offset`. Precondition: both lie in their buffers.
  public func copy(from source: AlignedBuffer, _ range: Range<Int>, at offset: Int) {
    unsafe source.withBytes(range) { from in
      unsafe withMutableBytes(offset..<offset + range.count) { to in
        unsafe to.copyMemory(from: from)
      }
    }
  }

  /// Moves the bytes of `range` to `offset`; both may overlap. Precondition: both lie in the buffer.
  public func move(_ range: Range<Int>, to offset: Int) {
    unsafe withBytes(range) { from in
      unsafe withMutableBytes(offset..<offset + range.count) { to in
        guard let target = to.baseAddress, let source = from.baseAddress else { return }
        unsafe memmove(target, source, from.count)
      }
    }
  }

  /// Sets the bytes of `range` to zero. Precondition: `range` lies in the buffer.
  public func zero(_ range: Range<Int>) {
    unsafe withMutableBytes(range) { target in
      guard let start = target.baseAddress else { return }
      unsafe memset(start, 0, target.count)
    }
  }
}
