public import Runtime

/// Sends the body of a streamed response.
///
/// It may be used by one task at a time until the closure it was given to returns; afterwards
/// every call throws `misused`. Each call returns when the kernel has taken all bytes, so that the
/// caller's memory is free again and a slow client slows its sender.
public struct HTTPBodyWriter: Sendable {
  let connection: Connection
  let requestNumber: UInt64

  /// Sends the bytes of `range`. Precondition: it lies in the buffer.
  public func write(
    _ buffer: AlignedBuffer, _ range: Range<Int>
  ) async throws(HTTPTransferError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "range outside")
    try await write(.aligned(buffer, range))
  }

  /// Sends these bytes.
  public func write(_ bytes: [UInt8]) async throws(HTTPTransferError) {
    try await write(.array(bytes))
  }

  private func write(_ payload: Payload) async throws(HTTPTransferError) {
    guard connection.loop.isCurrent else {
      return try await connection.writeBodyFromElsewhere(requestNumber, payload)
    }
    try await connection.writeBody(requestNumber, payload)
  }
}

/// Bytes to send that stay where they are.
enum Payload: Sendable {
  case none
  case array([UInt8])
  case aligned(AlignedBuffer, Range<Int>)

  var count: Int {
    switch self {
    case .none: 0
    case .array(let bytes): bytes.count
    case .aligned(_, let range): range.count
    }
  }

  /// Lends the bytes from `start` on. Precondition: `start` is at most `count`.
  func withBytes<R>(from start: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    switch self {
    case .none: unsafe body(UnsafeRawBufferPointer(start: nil, count: 0))
    case .array(let bytes):
      unsafe bytes.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    case .aligned(let buffer, let range):
      unsafe buffer.withBytes(range.lowerBound + start..<range.upperBound, body)
    }
  }
}
