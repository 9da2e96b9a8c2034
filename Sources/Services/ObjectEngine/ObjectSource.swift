public import Runtime

/// Where the bytes of an object come from, pulled piece by piece.
///
/// A source is used by one task, the one that it was made in.
public protocol ObjectSource: AnyObject {
  /// The bytes that will come in all, when it is known before.
  var expectedLength: Int64? { get }

  /// Puts 1 to `count` bytes into `buffer` from `offset` on, and returns how many; 0 at the end.
  ///
  /// Precondition: `count` is positive and fits. Throws when the client left, broke a rule of the
  /// transfer, or took too long; then nothing of the object is kept.
  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int
}

/// Bytes that lie in memory already.
public final class ArraySource: ObjectSource {
  private let bytes: [UInt8]
  private var position = 0

  /// Serves `bytes`.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The number of bytes.
  public var expectedLength: Int64? { Int64(bytes.count) }

  /// Copies the next bytes.
  public func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    let taken = min(count, bytes.count - position)
    guard taken > 0 else { return 0 }
    buffer.copy(Array(bytes[position..<position + taken]), at: offset)
    position += taken
    return taken
  }
}
