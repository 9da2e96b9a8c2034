/// Waiting for the socket. Loop thread only.
extension Connection {
  /// Waits until the socket may have bytes or `deadline` passes. Waits of a handler also end when
  /// its task is cancelled. Precondition: the kernel has just said that there is nothing.
  func waitToRead(until deadline: Int64, cancellably: Bool) async -> Wake {
    if isCut { return .cut }
    if reader.isOccupied { return .occupied }
    // A peer that drips would otherwise be awake whenever the clock looks at the waits.
    if deadline <= loop.now { return .timedOut }
    guard cancellably else { return await parkReader(deadline) }
    if Task.isCancelled { return .cancelled }
    let number = reader.beginNumber()
    return await withTaskCancellationHandler {
      await parkReader(deadline)
    } onCancel: {
      loop.execute { if self.reader.number == number { self.reader.resume(.cancelled) } }
    }
  }

  /// Waits until the socket takes bytes again; otherwise as `waitToRead`.
  func waitToWrite(cancellably: Bool) async -> Wake {
    if isCut { return .cut }
    if writer.isOccupied { return .occupied }
    let deadline = loop.now + Int64(limits.writeWaitMilliseconds)
    guard cancellably else { return await parkWriter(deadline) }
    if Task.isCancelled { return .cancelled }
    let number = writer.beginNumber()
    return await withTaskCancellationHandler {
      await parkWriter(deadline)
    } onCancel: {
      loop.execute { if self.writer.number == number { self.writer.resume(.cancelled) } }
    }
  }

  private func parkReader(_ deadline: Int64) async -> Wake {
    mayRead = false
    return await unsafe withUnsafeContinuation { unsafe reader.park($0, until: deadline) }
  }

  private func parkWriter(_ deadline: Int64) async -> Wake {
    await unsafe withUnsafeContinuation { unsafe writer.park($0, until: deadline) }
  }

  /// Lets the other connections of the loop go on once this one has moved its share.
  @inline(__always)
  func yieldIfGreedy(_ count: Int) async {
    turnBytes += count
    if turnBytes >= limits.turnBytes {
      turnBytes = 0
      await Task.yield()
    }
  }
}

extension Wake {
  /// The error of a wait that did not end with readiness.
  var failure: HTTPTransferError? {
    switch self {
    case .ready: nil
    case .timedOut: .timedOut
    case .cut: .disconnected
    case .cancelled: .cancelled
    case .occupied: .misused
    }
  }
}

/// The least rate of a body: bytes are set against the time spent waiting for the peer, so that a
/// slow handler is never held against its client.
struct RateGate {
  private var waited: Int64 = 0
  private var moved = 0

  mutating func move(_ count: Int) { moved += count }

  /// Adds a wait; false when a window is over and too little has moved in it.
  mutating func wait(_ milliseconds: Int64, _ limits: HTTPLimits) -> Bool {
    waited += milliseconds
    guard waited >= Int64(limits.rateWindowMilliseconds) else { return true }
    let least = limits.bodyBytesPerSecond.multipliedReportingOverflow(by: Int(waited))
    let isEnough = !least.overflow && moved >= least.partialValue / 1000
    waited = 0
    moved = 0
    return isEnough
  }
}
