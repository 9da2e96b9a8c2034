import CPlatform
import Glibc
import Runtime

/// Receiving. Loop thread only.
extension Connection {
  /// One attempt to receive into two runs, the second being optional.
  private func tryToReceive(
    _ first: UnsafeMutableRawBufferPointer, _ second: UnsafeMutableRawBufferPointer?
  ) -> TransferAttempt {
    if isCut { return .failed }
    if let tls {
      let attempt = unsafe tls.receive(into: first)
      if case .mustWaitToRead = attempt { mayRead = false }
      return attempt
    }
    if !mayRead { return .mustWaitToRead }
    let secondCount = unsafe second?.count ?? 0
    let result = unsafe platform_receive(
      socket, first.baseAddress, first.count, second?.baseAddress, secondCount)
    if result > 0 {
      // A short receive has emptied the socket (epoll(7)), so that the next one need not be
      // tried; but an end of input that was reported already makes no further event.
      if result < first.count + secondCount && !peerEndedDirection { mayRead = false }
      return .moved(result)
    }
    if result == 0 { return .ended }
    return result == -Int(EAGAIN) ? .mustWaitToRead : .failed
  }

  /// One attempt to receive into the window's room, which must not be empty.
  func tryToFillWindow() -> TransferAttempt {
    unsafe window.fill { unsafe tryToReceive($0, nil) }
  }

  /// Receives into the window's room, which must not be empty; 0 when the peer has ended.
  func fillWindow(
    until deadline: Int64, rated: Bool = false, cancellably: Bool = false
  ) async throws(HTTPTransferError) -> Int {
    while true {
      let attempt = tryToFillWindow()
      if case .moved(let count) = attempt {
        await moved(count, rated)
        return count
      }
      if case .ended = attempt { return 0 }
      try await waitAfter(attempt, until: deadline, rated, cancellably)
    }
  }

  /// Receives at most `count` bytes of the body into `buffer`, and, if `spills`, what follows them
  /// into the window, in one call; returns how many bytes went to the buffer.
  func receiveBody(
    into buffer: AlignedBuffer, at offset: Int, count: Int, spills: Bool
  ) async throws(HTTPTransferError) -> Int {
    let deadline = loop.now + Int64(limits.bodyWaitMilliseconds)
    while true {
      let attempt = unsafe buffer.withMutableBytes(offset..<offset + count) { target in
        guard spills && tls == nil else { return unsafe tryToReceive(target, nil) }
        return unsafe window.withRoom { unsafe tryToReceive(target, $0) }
      }
      if case .moved(let total) = attempt {
        if total > count { window.append(count: total - count) }
        await moved(total, true)
        return min(total, count)
      }
      if case .ended = attempt { throw .disconnected }
      try await waitAfter(attempt, until: deadline, true, true)
    }
  }

  private func moved(_ count: Int, _ rated: Bool) async {
    if rated { request.rate.move(count) }
    if count > 4096 { await yieldIfGreedy(count) }
  }

  private func waitAfter(
    _ attempt: TransferAttempt, until deadline: Int64, _ rated: Bool, _ cancellably: Bool
  ) async throws(HTTPTransferError) {
    let began = loop.now
    let wake: Wake
    switch attempt {
    case .mustWaitToRead: wake = await waitToRead(until: deadline, cancellably: cancellably)
    case .mustWaitToWrite: wake = await waitToWrite(cancellably: cancellably)
    case .moved, .ended, .failed: throw .disconnected
    }
    if let failure = wake.failure { throw failure }
    if rated && !request.rate.wait(loop.now - began, limits) { throw .timedOut }
  }
}
