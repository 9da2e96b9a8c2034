public import Runtime

/// The body of one request. Nothing is received before it is asked for.
///
/// It may be used from any task of the handler while the handler or its streamed response runs,
/// by one task at a time; afterwards every call throws `misused`. A client that sent
/// `Expect: 100-continue` is told to go on by the first read; a handler that answers without a
/// read spares it the transfer.
public struct HTTPRequestBody: Sendable {
  /// The announced length in bytes; nil for a chunked body, 0 when there is none.
  public let contentLength: Int?
  let connection: Connection
  let requestNumber: UInt64

  /// Receives at least one byte of the body, at most `count`, and returns how many; 0 at the end.
  ///
  /// Bytes of a body with a Content-Length go from the socket straight into `buffer`. The buffer
  /// is the caller's; it must not be touched elsewhere until the call returns.
  /// Precondition: `offset` and `count` lie within the buffer, `count` is positive.
  public func read(
    into buffer: AlignedBuffer, at offset: Int = 0, count: Int
  ) async throws(HTTPTransferError) -> Int {
    precondition(
      offset >= 0 && count > 0 && count <= buffer.count - offset, "range outside the buffer")
    guard connection.loop.isCurrent else {
      return try await connection.readBodyFromElsewhere(
        requestNumber, into: buffer, at: offset, count: count)
    }
    return try await connection.readBody(requestNumber, into: buffer, at: offset, count: count)
  }

  /// Receives until `count` bytes are in the buffer or the body ends; returns how many.
  ///
  /// As `read`; fewer than `count` bytes mean that the body has ended.
  public func readFully(
    into buffer: AlignedBuffer, at offset: Int = 0, count: Int
  ) async throws(HTTPTransferError) -> Int {
    var done = 0
    while done < count {
      let received = try await read(into: buffer, at: offset + done, count: count - done)
      if received == 0 { break }
      done += received
    }
    return done
  }

  /// The whole body in one array; throws `tooLarge` when it is longer than `limit` bytes, without
  /// reading on.
  public func collect(upTo limit: Int) async throws(HTTPTransferError) -> [UInt8] {
    if let contentLength {
      guard contentLength <= limit else { throw .tooLarge }
      if contentLength == 0 { return [] }
    }
    let piece = AlignedBuffer(count: min(contentLength ?? 64 << 10, 64 << 10))
    var result: [UInt8] = []
    while true {
      let count = try await read(into: piece, count: piece.count)
      if count == 0 { return result }
      guard count <= limit - result.count else { throw .tooLarge }
      unsafe piece.withBytes(0..<count) { unsafe result.append(contentsOf: $0) }
    }
  }

  /// The trailer fields of a chunked body; empty before its end was read.
  public var trailers: HTTPFields {
    get async {
      guard connection.loop.isCurrent else {
        return await connection.trailersFromElsewhere(requestNumber)
      }
      return connection.trailers(requestNumber)
    }
  }
}
