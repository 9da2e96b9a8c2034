import Synchronization

/// The life of a connection, request after request. Loop thread only.
extension Connection {
  /// Serves the connection until it ends, then removes it from the loop.
  func run() async {
    do throws(HTTPTransferError) {
      try await handshake()
      while try await serveOne() {}
      tls?.sendClose()
    } catch {
      // Nobody is left to be told.
    }
    close()
    releaseBuffers()
    loop.remove(self)
  }

  private func handshake() async throws(HTTPTransferError) {
    guard let tls else { return }
    let deadline = loop.now + Int64(limits.headMilliseconds)
    while true {
      let wake: Wake
      switch tls.handshake() {
      case .moved: return
      case .mustWaitToRead: wake = await waitToRead(until: deadline, cancellably: false)
      case .mustWaitToWrite: wake = await waitToWrite(cancellably: false)
      case .ended, .failed:
        tls.suppressClose()
        throw .disconnected
      }
      if let failure = wake.failure { throw failure }
      // The wait to write has a limit of its own, which must not add up.
      if loop.now >= deadline { throw .timedOut }
    }
  }

  /// Serves one request; false when it was the last.
  private func serveOne() async throws(HTTPTransferError) -> Bool {
    let parsed: ParsedHead
    do {
      guard let received = try await receiveHead() else { return false }
      parsed = received
    } catch let refusal as HTTPRefusal {
      loop.statistics.requestRefused()
      try await refuse(refusal)
      return false
    } catch {
      throw (error as? HTTPTransferError) ?? .disconnected
    }
    loop.statistics.requestBegan()
    loop.activeRequests.add(1, ordering: .relaxed)
    defer { loop.activeRequests.subtract(1, ordering: .relaxed) }
    request.begin(parsed)
    response.begin(keepsAlive: parsed.keepsAlive && !loop.isDraining)
    isHandling = true
    do {
      defer { isHandling = false }
      try await answer(parsed)
    }
    guard response.keepsAlive, !Task.isCancelled else {
      await linger()
      return false
    }
    try await dropRestOfBody()
    return true
  }

  /// Receives and parses one head; nil when the connection ends in good order before it begins.
  private func receiveHead() async throws -> ParsedHead? {
    var scanner = HeadScanner(limit: limits.headBytes)
    var deadline = loop.now + Int64(limits.headMilliseconds)
    while true {
      if window.isEmpty {
        guard try await receiveFirstBytes() else { return nil }
        deadline = loop.now + Int64(limits.headMilliseconds)
      }
      switch window.scan(with: &scanner) {
      case .complete(let range):
        let bytes = window.copy(range)
        window.drop(range.upperBound)
        return try RequestHeadParser.parse(bytes, maximumFields: limits.headFields)
      case .refused(let refusal): throw refusal
      case .incomplete: break
      }
      window.reserve(large: window.count >= WindowPool.small, from: &loop.pool)
      do throws(HTTPTransferError) {
        if try await fillWindow(until: deadline) == 0 { throw .disconnected }
      } catch {
        if error == .timedOut { throw HTTPRefusal(408, "request head not complete in time") }
        throw error
      }
    }
  }

  /// Waits, without any buffer, for a request to begin; false when there will be none.
  private func receiveFirstBytes() async throws(HTTPTransferError) -> Bool {
    isIdle = true
    defer { isIdle = false }
    let deadline = loop.now + Int64(limits.idleMilliseconds)
    while true {
      if loop.isDraining { return false }
      if mayRead || tls?.hasPendingBytes == true {
        window.reserve(large: false, from: &loop.pool)
        switch tryToFillWindow() {
        case .moved: return true
        case .ended: return false
        case .failed: throw .disconnected
        case .mustWaitToRead: break
        case .mustWaitToWrite:
          if let failure = await waitToWrite(cancellably: false).failure { throw failure }
          continue
        }
      }
      releaseBuffers()
      if let failure = await waitToRead(until: deadline, cancellably: false).failure {
        throw failure
      }
    }
  }

  private func releaseBuffers() {
    window.release(to: &loop.pool)
    if response.output.capacity > 0 {
      let output = response.output
      response.output = []
      loop.pool.giveOutput(output)
    }
  }

  /// Answers a request that no handler may see, and ends the connection.
  private func refuse(_ refusal: HTTPRefusal) async throws(HTTPTransferError) {
    request.isHead = false
    request.framing = .none
    request.minorVersion = 1
    response.begin(keepsAlive: false)
    try await respond(errorResponse(refusal.status, refusal.reason))
    await linger()
  }

  func errorResponse(_ status: Int, _ reason: String) -> HTTPResponse {
    let (body, contentType) = service.errorBody(status, reason)
    return HTTPResponse(
      status: status, headers: [("Content-Type", contentType)], body: .bytes(body))
  }
}
