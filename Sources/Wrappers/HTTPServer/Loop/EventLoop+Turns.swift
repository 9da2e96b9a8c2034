import Base
import CPlatform
import Glibc
import Synchronization

/// What the loop's thread does, turn by turn. Loop thread only.
extension EventLoop {
  private var openConnections: Int { slots.count - freeSlots.count }

  func run() {
    threadIdentity.store(UInt(pthread_self()), ordering: .relaxed)
    var events = [platform_event](repeating: platform_event(), count: 256)
    let executor = unsafe asUnownedTaskExecutor()
    refreshClock()
    while true {
      unsafe runJobs(executor)
      if isDraining && openConnections == 0 && jobs.isEmpty && tryToEnd() { return }
      let count = unsafe platform_epoll_wait(
        epoll.number, &events, Int32(events.count), waitMilliseconds)
      precondition(count >= 0, "epoll_wait refuses its arguments")
      refreshClock()
      for event in events.prefix(Int(count)) { dispatch(event) }
      if now >= nextTick { tick() }
    }
  }

  private var waitMilliseconds: Int32 {
    if !jobs.isEmpty { return 0 }
    if openConnections == 0 && !listenersArePaused { return -1 }
    return Int32(limits.tickMilliseconds)
  }

  private func runJobs(_ executor: UnownedTaskExecutor) {
    if jobs.isEmpty { return }
    swap(&jobs, &running)
    for job in running { unsafe job.runSynchronously(on: executor) }
    running.removeAll(keepingCapacity: true)
  }

  private func refreshClock() {
    now = platform_monotonic_milliseconds()
    let second = platform_unix_seconds()
    if second != dateSecond {
      dateSecond = second
      dateLine = Array("Date: \(Timestamp(seconds: second).httpDate)\r\n".utf8)
    }
  }

  private func dispatch(_ event: platform_event) {
    let generation = UInt32(truncatingIfNeeded: event.tag >> 32)
    let position = Int(event.tag & 0xffff_ffff)
    if event.tag == Tag.wakeup {
      takeRemoteWork()
    } else if generation == Tag.listenerGeneration {
      if position < listeners.count { accept(from: listeners[position]) }
    } else if position < slots.count, let connection = slots[position],
      connection.generation == generation
    {
      connection.handle(readiness: event.readiness)
    }
  }

  private func takeRemoteWork() {
    platform_wakeup_clear(wakeup.number)
    let actions = remote.withLock { remote in
      remote.isSignalled = false
      jobs.append(contentsOf: remote.jobs)
      remote.jobs.removeAll(keepingCapacity: true)
      defer { remote.actions.removeAll(keepingCapacity: true) }
      return remote.actions
    }
    for action in actions { action() }
  }

  /// Ends the loop unless work has come in from outside.
  private func tryToEnd() -> Bool {
    let (hasEnded, waiter) = remote.withLock { remote in
      guard remote.jobs.isEmpty, remote.actions.isEmpty else {
        return (false, nil as CheckedContinuation<Void, Never>?)
      }
      remote.hasEnded = true
      defer { remote.ended = nil }
      return (true, remote.ended)
    }
    if hasEnded { threadIdentity.store(0, ordering: .relaxed) }
    waiter?.resume()
    return hasEnded
  }

  private func tick() {
    nextTick = now + Int64(limits.tickMilliseconds)
    let cutsAll = now >= cutAt
    for connection in slots {
      guard let connection else { continue }
      if cutsAll { connection.cut() } else { connection.expireWaits() }
    }
    if statistics.clientsAreWaiting { makeRoom() }
    resumeListeners()
  }

  /// Clients wait at the connection limit: ends the connections that have been idle for longest, a few per tick,
  /// so that clients that only hold places cannot keep others out for the whole idle time.
  private func makeRoom() {
    let newest = now + Int64(limits.idleMilliseconds) - Self.leastIdleMilliseconds
    let idle = slots.compactMap { $0 }.filter { $0.isIdle && $0.reader.deadline <= newest }
    for connection in idle.sorted(by: { $0.reader.deadline < $1.reader.deadline })
      .prefix(Self.endedPerTick)
    {
      connection.cut()
    }
  }

  private static let leastIdleMilliseconds: Int64 = 1000
  private static let endedPerTick = 64

  /// Stops listening, closes idle connections, and cuts the rest at `cutAt`. Repeated calls can
  /// only bring the cut forward.
  func drain(cutAt time: Int64) {
    isDraining = true
    cutAt = min(cutAt, time)
    listeners.removeAll()
    listenersArePaused = false
    for connection in slots {
      guard let connection else { continue }
      if now >= cutAt || connection.isIdle { connection.cut() }
    }
  }

  // MARK: Connections

  /// Takes a connection that was placed on this loop and starts its task, the one unstructured
  /// kind of task there is: the loop keeps it until it has removed itself, and does not end before.
  func adopt(_ connection: Connection) {
    let position = freeSlots.popLast() ?? slots.count
    if position == slots.count { slots.append(nil) }
    slots[position] = connection
    connection.slot = position
    connection.generation = nextGeneration
    nextGeneration =
      nextGeneration == .max ? Tag.firstConnectionGeneration : nextGeneration + 1
    let status = platform_epoll_add_connection(
      epoll.number, connection.socket, Tag.make(connection.generation, position))
    guard status == 0 else {
      connection.close()
      remove(connection)
      return
    }
    connection.task = Task(executorPreference: self) { await connection.run() }
  }

  /// Forgets a connection whose task is about to end.
  func remove(_ connection: Connection) {
    slots[connection.slot] = nil
    freeSlots.append(connection.slot)
    connection.task = nil
    connectionCount.subtract(1, ordering: .relaxed)
    statistics.connectionClosed()
    resumeListeners()
  }
}
