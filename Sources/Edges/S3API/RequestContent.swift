import Base
import Crypto
import HTTPServer
import ObjectEngine
import Runtime
import S3Wire
import Signing

/// The content of a request whose body is the content.
final class PlainContent: ObjectSource {
  let expectedLength: Int64?
  private let body: HTTPRequestBody

  init(_ body: HTTPRequestBody, length: Int) {
    self.body = body
    expectedLength = Int64(length)
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    try await body.read(into: buffer, at: offset, count: count)
  }
}

/// The content of a request in `aws-chunked` framing: chunks and trailer are checked on the way.
final class ChunkedContent: ObjectSource {
  let expectedLength: Int64?
  private let body: HTTPRequestBody
  private var decoder: ChunkedBodyDecoder
  private let window = AlignedBuffer(count: 64 << 10)
  private var position = 0
  private var filled = 0
  private var payload = 0..<0
  private var isEnded = false

  init(
    _ body: HTTPRequestBody, decoder: ChunkedBodyDecoder, length: Int
  ) {
    self.body = body
    self.decoder = decoder
    expectedLength = Int64(length)
  }

  /// The trailer's fields, once the content has ended.
  var trailers: [(name: String, value: String)] { decoder.trailers }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    var done = 0
    while done < count {
      if payload.isEmpty, try await !advance() { break }
      let taken = min(count - done, payload.count)
      buffer.copy(
        from: window, payload.lowerBound..<payload.lowerBound + taken, at: offset + done)
      payload = payload.lowerBound + taken..<payload.upperBound
      done += taken
    }
    return done
  }

  /// Moves to the next run of payload; false at the end.
  private func advance() async throws -> Bool {
    while !isEnded {
      if position == filled {
        filled = try await body.read(into: window, at: 0, count: window.count)
        position = 0
        if filled == 0 {
          try decoder.finish()
          isEnded = true
          return false
        }
      }
      if try decodeEvent() { return true }
    }
    return false
  }

  private func decodeEvent() throws(SigningError) -> Bool {
    let event = try unsafe window.withBytes(0..<filled) {
      bytes throws(SigningError) -> ChunkedBodyDecoder.Event? in
      let event = try decoder.next(unsafe bytes.bytes, at: &position)
      if case .payload(let range) = event {
        unsafe decoder.chunkDigest?.update(UnsafeRawBufferPointer(rebasing: bytes[range]))
      }
      return event
    }
    if case .payload(let range) = event {
      payload = range
      return true
    }
    return false
  }
}
