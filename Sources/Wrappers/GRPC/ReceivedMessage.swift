public import Base
internal import CGRPC
internal import Glibc
public import Runtime

/// A message that has come in, in the pieces that the library received it in.
@safe
public final class ReceivedMessage: @unchecked Sendable {
  fileprivate let raw: UnsafeMutablePointer<grpc_byte_buffer>

  /// Takes the buffer over; nil, and the buffer freed, when it is compressed: nobody asked for that.
  init?(taking raw: UnsafeMutablePointer<grpc_byte_buffer>) {
    unsafe self.raw = raw
    guard unsafe raw.pointee.type == GRPC_BB_RAW,
      unsafe raw.pointee.data.raw.compression == GRPC_COMPRESS_NONE
    else { return nil }
  }

  deinit {
    unsafe grpc_byte_buffer_destroy(raw)
  }

  /// Bytes of the message.
  public var count: Int { unsafe raw.pointee.data.raw.slice_buffer.length }

  /// Reads the message from its beginning.
  public var reader: MessageReader { MessageReader(self) }

  /// All of it in one piece.
  public var bytes: [UInt8] {
    var reader = reader
    return (try? reader.read(count)) ?? []
  }

  fileprivate var pieceCount: Int { unsafe raw.pointee.data.raw.slice_buffer.count }

  /// Piece `index`, valid while the message lives. Precondition: there is one.
  fileprivate func piece(_ index: Int) -> UnsafeRawBufferPointer {
    let slice = unsafe raw.pointee.data.raw.slice_buffer.slices + index
    return unsafe UnsafeRawBufferPointer(
      start: cgrpc_slice_start(slice), count: cgrpc_slice_length(slice))
  }
}

/// Reads fields from the front of a message, across its pieces and never past its end.
@safe
public struct MessageReader: @unchecked Sendable {
  private let message: ReceivedMessage
  private var next = 0
  private var piece = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  private var position = 0

  /// Bytes left.
  public private(set) var remaining: Int

  init(_ message: ReceivedMessage) {
    self.message = message
    remaining = message.count
  }

  /// The next byte; throws at the end.
  public mutating func readByte() throws(FormatError) -> UInt8 {
    try advance(1)
    defer {
      position += 1
      remaining -= 1
    }
    return unsafe piece[position]
  }

  /// The next `count` bytes; throws when fewer are left or `count` is negative.
  public mutating func read(_ count: Int) throws(FormatError) -> [UInt8] {
    try require(count)
    var result: [UInt8] = []
    result.reserveCapacity(count)
    unsafe try forEachRun(count) { run in unsafe result.append(contentsOf: run) }
    return result
  }

  /// Copies the next `count` bytes to `offset` of `buffer`; throws when fewer are left or they do
  /// not fit.
  public mutating func read(
    _ count: Int, into buffer: AlignedBuffer, at offset: Int
  ) throws(FormatError) {
    try require(count)
    guard offset >= 0, offset <= buffer.count, count <= buffer.count - offset else {
      throw FormatError("\(count) bytes do not fit")
    }
    var target = offset
    unsafe try forEachRun(count) { run in
      unsafe buffer.withMutableBytes(target..<target + run.count) { bytes in
        unsafe bytes.copyMemory(from: run)
      }
      target += run.count
    }
  }

  /// The next `count` bytes in the runs that they lie in, which are valid while the message lives;
  /// throws when fewer are left or `count` is negative.
  mutating func runs(_ count: Int) throws(FormatError) -> [UnsafeRawBufferPointer] {
    try require(count)
    var result: [UnsafeRawBufferPointer] = unsafe []
    unsafe try forEachRun(count) { run in unsafe result.append(run) }
    return unsafe result
  }

  /// Passes over `count` bytes; throws when fewer are left or `count` is negative.
  public mutating func skip(_ count: Int) throws(FormatError) {
    try require(count)
    unsafe try forEachRun(count) { _ in }
  }

  private func require(_ count: Int) throws(FormatError) {
    guard count >= 0, count <= remaining else {
      throw FormatError("the message ends too early")
    }
  }

  private mutating func forEachRun(
    _ count: Int, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(FormatError) {
    var left = count
    while left > 0 {
      try advance(1)
      let length = unsafe min(left, piece.count - position)
      unsafe body(UnsafeRawBufferPointer(rebasing: piece[position..<position + length]))
      position += length
      remaining -= length
      left -= length
    }
  }

  /// Goes to the next piece that has bytes when this one has none left.
  private mutating func advance(_ count: Int) throws(FormatError) {
    try require(count)
    while unsafe position == piece.count {
      guard next < message.pieceCount else { throw FormatError("the message ends too early") }
      unsafe piece = message.piece(next)
      next += 1
      position = 0
    }
  }
}
