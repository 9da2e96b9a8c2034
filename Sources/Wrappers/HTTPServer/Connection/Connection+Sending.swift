import CPlatform
import Glibc

/// Sending. Loop thread only.
extension Connection {
  /// The most given to the kernel at once: what a cache holds goes out fastest.
  private static let pieceBytes = 256 << 10
  private static let lineEnd: [UInt8] = [0x0d, 0x0a]

  /// Sends the staged output, then `payload`, then a line end if `endsLine`, in as few calls as
  /// the kernel allows; returns when it has taken all of it.
  func sendOutput(
    _ payload: Payload, endsLine: Bool = false, cancellably: Bool
  ) async throws(HTTPTransferError) {
    let payload = joinForTLS(payload)
    let total = response.output.count + payload.count + (endsLine ? 2 : 0)
    var done = 0
    while done < total {
      let attempt = tryToSend(payload, endsLine, from: done)
      if case .moved(let count) = attempt {
        done += count
        response.hasBegun = true
        response.rate.move(count)
        if count > 4096 { await yieldIfGreedy(count) }
        continue
      }
      do throws(HTTPTransferError) {
        try await waitAfterSend(attempt, cancellably)
      } catch {
        if done > 0 { response.isBroken = true }
        throw error
      }
    }
    response.output.removeAll(keepingCapacity: true)
  }

  /// A small payload goes into the record of the head.
  private func joinForTLS(_ payload: Payload) -> Payload {
    guard tls != nil, !response.output.isEmpty, payload.count > 0,
      response.output.count + payload.count <= WindowPool.small
    else { return payload }
    unsafe payload.withBytes(from: 0) { unsafe response.output.append(contentsOf: $0) }
    return .none
  }

  private func waitAfterSend(
    _ attempt: TransferAttempt, _ cancellably: Bool
  ) async throws(HTTPTransferError) {
    let began = loop.now
    let wake: Wake
    switch attempt {
    case .mustWaitToWrite: wake = await waitToWrite(cancellably: cancellably)
    case .mustWaitToRead:
      let deadline = began + Int64(limits.writeWaitMilliseconds)
      wake = await waitToRead(until: deadline, cancellably: cancellably)
    case .moved, .ended, .failed: throw .disconnected
    }
    if let failure = wake.failure { throw failure }
    if !response.rate.wait(loop.now - began, limits) { throw .timedOut }
  }

  /// One attempt to send what follows the first `done` bytes of output, payload and line end.
  private func tryToSend(_ payload: Payload, _ endsLine: Bool, from done: Int) -> TransferAttempt {
    if isCut { return .failed }
    let outputCount = response.output.count
    let outputStart = min(done, outputCount)
    let payloadStart = min(max(done - outputCount, 0), payload.count)
    let endStart = max(done - outputCount - payload.count, 0)
    return unsafe response.output.withUnsafeBytes { output in
      unsafe payload.withBytes(from: payloadStart) { body in
        unsafe Self.lineEnd.withUnsafeBytes { end in
          let isLast = body.count <= Self.pieceBytes
          let piece = unsafe UnsafeRawBufferPointer(rebasing: body.prefix(Self.pieceBytes))
          let tail = unsafe UnsafeRawBufferPointer(
            rebasing: end[(endsLine && isLast ? endStart : 2)...])
          return unsafe send(
            UnsafeRawBufferPointer(rebasing: output[outputStart...]), piece, tail)
        }
      }
    }
  }

  private func send(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer,
    _ third: UnsafeRawBufferPointer
  ) -> TransferAttempt {
    if let tls {
      if first.count > 0 { return unsafe tls.send(first) }
      return unsafe tls.send(second.count > 0 ? second : third)
    }
    let result = unsafe platform_send(
      socket, first.baseAddress, first.count, second.baseAddress, second.count,
      third.baseAddress, third.count)
    if result >= 0 { return .moved(result) }
    return result == -Int(EAGAIN) ? .mustWaitToWrite : .failed
  }

  /// Sends a piece of a streamed body.
  func writeBody(_ number: UInt64, _ payload: Payload) async throws(HTTPTransferError) {
    guard response.isStreaming, request.number == number, !response.isWriting else {
      throw .misused
    }
    if response.isBroken { throw .disconnected }
    let count = payload.count
    if count == 0 { return }
    if let left = response.left {
      guard count <= left else { throw .tooLong }
      response.left = left - count
    }
    response.isWriting = true
    defer { response.isWriting = false }
    if response.isChunked {
      response.output.append(contentsOf: String(count, radix: 16).utf8)
      response.output.append(contentsOf: Self.lineEnd)
    }
    do throws(HTTPTransferError) {
      try await sendOutput(payload, endsLine: response.isChunked, cancellably: true)
    } catch {
      response.isBroken = true
      throw error
    }
  }

  /// `writeBody` for a caller that runs on another executor.
  @concurrent
  func writeBodyFromElsewhere(
    _ number: UInt64, _ payload: Payload
  ) async throws(HTTPTransferError) {
    let failure: HTTPTransferError? = await withTaskExecutorPreference(loop) {
      await self.writeBodyOnLoop(number, payload)
    }
    if let failure { throw failure }
  }

  @concurrent
  private func writeBodyOnLoop(_ number: UInt64, _ payload: Payload) async -> HTTPTransferError? {
    guard loop.isCurrent else { return .misused }
    do throws(HTTPTransferError) {
      try await writeBody(number, payload)
      return nil
    } catch {
      return error
    }
  }
}
