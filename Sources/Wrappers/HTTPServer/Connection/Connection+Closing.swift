import CPlatform
import Glibc

/// What becomes of an unread body, and how a connection ends. Loop thread only.
extension Connection {
  /// Drops what has arrived of a body that nobody will read.
  func dropBufferedBody() {
    guard request.failure == nil, !request.expectsContinue else { return }
    switch request.framing {
    case .none: break
    case .length(let left):
      let count = min(left, window.count)
      window.drop(count)
      request.framing = count < left ? .length(left - count) : .none
    case .chunked:
      while true {
        let count = min(request.decoder.remainingInChunk, window.count)
        window.drop(count)
        request.decoder.consumeData(count)
        guard let step = try? advanceChunks(), step != .needsMore else { return }
        if step == .end {
          request.framing = .none
          return
        }
        if window.isEmpty { return }
      }
    }
  }

  /// Whether the rest of the body, if any, can be skipped cheaply and safely.
  var mayKeepConnection: Bool {
    guard request.failure == nil else { return false }
    switch request.framing {
    case .none: return !loop.isDraining
    case .length(let left):
      return !request.expectsContinue && left <= limits.drainBytes && !loop.isDraining
    case .chunked: return false
    }
  }

  /// After the answer: reads and drops the rest of a body with a known length.
  func dropRestOfBody() async throws(HTTPTransferError) {
    let deadline = loop.now + Int64(limits.bodyWaitMilliseconds)
    while true {
      dropBufferedBody()
      guard case .length = request.framing else { return }
      window.reserve(large: false, from: &loop.pool)
      if try await fillWindow(until: deadline, rated: true) == 0 { throw .disconnected }
    }
  }

  /// Ends this direction and lets the client read the answer: closing with unread input would
  /// reset the connection and could take the answer with it (RFC 9112 §9.6).
  func linger() async {
    if isCut || isDisconnected { return }
    tls?.sendClose()
    _ = platform_shutdown_writing(socket)
    window.release(to: &loop.pool)
    var scratch = loop.pool.take(large: false)
    let deadline = loop.now + Int64(limits.lingerMilliseconds)
    var left = limits.lingerBytes
    while left > 0 && !isCut {
      let count = unsafe scratch.withUnsafeMutableBytes { bytes in
        unsafe platform_receive(socket, bytes.baseAddress, bytes.count, nil, 0)
      }
      if count > 0 {
        left -= count
        await yieldIfGreedy(count)
      } else {
        guard count == -Int(EAGAIN), loop.now < deadline else { break }
        guard case .ready = await waitToRead(until: deadline, cancellably: false) else { break }
      }
    }
    loop.pool.give(scratch)
  }

  /// Makes the close a reset.
  func reset() {
    tls?.suppressClose()
    if !isCut { platform_reset_on_close(socket) }
  }
}
