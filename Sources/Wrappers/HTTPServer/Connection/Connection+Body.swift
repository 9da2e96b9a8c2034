import Runtime

/// Reading the request's body. Loop thread only, but for the two entrances from elsewhere.
extension Connection {
  /// `readBody` for a caller that runs on another executor.
  @concurrent
  func readBodyFromElsewhere(
    _ number: UInt64, into buffer: AlignedBuffer, at offset: Int, count: Int
  ) async throws(HTTPTransferError) -> Int {
    let result: Result<Int, HTTPTransferError> = await withTaskExecutorPreference(loop) {
      await self.readBodyOnLoop(number, into: buffer, at: offset, count: count)
    }
    return try result.get()
  }

  @concurrent
  private func readBodyOnLoop(
    _ number: UInt64, into buffer: AlignedBuffer, at offset: Int, count: Int
  ) async -> Result<Int, HTTPTransferError> {
    guard loop.isCurrent else { return .failure(.misused) }
    do throws(HTTPTransferError) {
      return .success(try await readBody(number, into: buffer, at: offset, count: count))
    } catch {
      return .failure(error)
    }
  }

  /// Receives body bytes; 0 at the end.
  func readBody(
    _ number: UInt64, into buffer: AlignedBuffer, at offset: Int, count: Int
  ) async throws(HTTPTransferError) -> Int {
    guard isHandling, request.number == number, !request.isReading else { throw .misused }
    if let failure = request.failure { throw failure }
    if case .none = request.framing { return 0 }
    request.isReading = true
    defer { request.isReading = false }
    do throws(HTTPTransferError) {
      try await sendContinue()
      switch request.framing {
      case .none: return 0
      case .length(let left):
        let received = try await readRun(into: buffer, at: offset, count: min(left, count), left)
        request.framing = received < left ? .length(left - received) : .none
        return received
      case .chunked: return try await readChunked(into: buffer, at: offset, count: count)
      }
    } catch {
      if error != .cancelled && error != .misused { request.failure = error }
      throw error
    }
  }

  /// Reads at most `count` of the `left` bytes that belong together.
  private func readRun(
    into buffer: AlignedBuffer, at offset: Int, count: Int, _ left: Int
  ) async throws(HTTPTransferError) -> Int {
    if !window.isEmpty {
      return unsafe buffer.withMutableBytes(offset..<offset + count) { target in
        unsafe window.take(into: target)
      }
    }
    // A chunk is followed by framing, which is better fetched in the same call than by its own.
    let spills = request.framing == .chunked && count == left
    if !spills { window.release(to: &loop.pool) }
    return try await receiveBody(into: buffer, at: offset, count: count, spills: spills)
  }

  private func readChunked(
    into buffer: AlignedBuffer, at offset: Int, count: Int
  ) async throws(HTTPTransferError) -> Int {
    while true {
      let left = request.decoder.remainingInChunk
      if left > 0 {
        let received = try await readRun(into: buffer, at: offset, count: min(left, count), left)
        request.decoder.consumeData(received)
        return received
      }
      if try advanceChunks() == .end {
        request.framing = .none
        return 0
      }
      if request.decoder.remainingInChunk > 0 { continue }
      window.reserve(large: true, from: &loop.pool)
      let deadline = loop.now + Int64(limits.bodyWaitMilliseconds)
      let received = try await fillWindow(until: deadline, rated: true, cancellably: true)
      if received == 0 { throw .disconnected }
    }
  }

  /// Works through the chunk framing at the front of the window.
  func advanceChunks() throws(HTTPTransferError) -> ChunkedDecoder.Step {
    do throws(HTTPRefusal) {
      return try window.advance(&request.decoder)
    } catch {
      throw .malformed(error.reason)
    }
  }

  private func sendContinue() async throws(HTTPTransferError) {
    guard request.expectsContinue else { return }
    // After the head of the answer a 100 would be taken for a part of it.
    guard !response.hasBegun, !response.isStreaming else { throw .misused }
    request.expectsContinue = false
    if !window.isEmpty { return }
    response.output.append(contentsOf: "HTTP/1.1 100 Continue\r\n\r\n".utf8)
    try await sendOutput(.none, cancellably: true)
    response.hasBegun = false
  }

  func trailers(_ number: UInt64) -> HTTPFields {
    guard isHandling, request.number == number, request.framing == .none else {
      return HTTPFields()
    }
    return request.decoder.trailers
  }

  @concurrent
  func trailersFromElsewhere(_ number: UInt64) async -> HTTPFields {
    await withTaskExecutorPreference(loop) { await self.trailersOnLoop(number) }
  }

  @concurrent
  private func trailersOnLoop(_ number: UInt64) async -> HTTPFields {
    loop.isCurrent ? trailers(number) : HTTPFields()
  }
}
