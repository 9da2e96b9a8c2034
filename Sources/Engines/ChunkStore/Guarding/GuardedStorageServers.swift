public import Base
public import Runtime
internal import Synchronization

/// Storage servers behind a circuit breaker each.
///
/// A server whose breaker is not closed shows its stores as offline, so that nothing new is placed on
/// them; the calls that ask how it is are the trials that close the breaker again.
public final class GuardedStorageServers: StorageServerConnecting {
  private let inner: any StorageServerConnecting
  private let options: CircuitBreaker.Options
  private let retry: RetryPolicy
  private let clock: any PauseClock
  private let random: any RandomSource
  private let known = Mutex<[ServerID: CircuitBreaker]>([:])

  /// Guards the connections that `inner` makes. The breakers and the pauses between retries go by
  /// `clock`, the lengths of the pauses by `random`.
  public init(
    _ inner: any StorageServerConnecting,
    breaker options: CircuitBreaker.Options = CircuitBreaker.Options(),
    retry: RetryPolicy = RetryPolicy(), clock: any PauseClock = SystemPauseClock(),
    random: any RandomSource = SystemRandom()
  ) {
    self.inner = inner
    self.options = options
    self.retry = retry
    self.clock = clock
    self.random = random
  }

  /// The breakers of all servers that were ever connected to.
  public var breakers: [ServerID: CircuitBreaker] { known.withLock { $0 } }

  /// A guarded connection; its breaker outlives it, so that a new address begins where the old one
  /// ended.
  public func connect(
    to address: String, server id: ServerID
  ) -> any StorageServerConnection {
    let breaker = known.withLock { known in
      if let breaker = known[id] { return breaker }
      let breaker = CircuitBreaker(options: options, clock: clock)
      known[id] = breaker
      return breaker
    }
    let connection = inner.connect(to: address, server: id)
    return GuardedConnection(connection, breaker: breaker) { [retry, clock, random] store in
      GuardedChunkStore(store, breaker: breaker, retry: retry, clock: clock, random: random)
    }
  }
}

/// One of them.
///
/// A breaker that opened while the server did not even say how it is need not wait out its time once
/// it does: the questions that would be asked then are asked at once. One that opened although the
/// server answers such questions does wait.
final class GuardedConnection: StorageServerConnection {
  private let inner: any StorageServerConnection
  private let breaker: CircuitBreaker
  private let guarding: @Sendable (any ChunkStore) -> GuardedChunkStore
  /// Whether the last question how it is got no answer.
  private let isSilent = Mutex(false)

  init(
    _ inner: any StorageServerConnection, breaker: CircuitBreaker,
    guarding: @escaping @Sendable (any ChunkStore) -> GuardedChunkStore
  ) {
    self.inner = inner
    self.breaker = breaker
    self.guarding = guarding
  }

  var address: String { inner.address }

  func health() async throws(ChunkStoreError) -> StorageServerHealth {
    var health = try await ask()
    let isBack = isSilent.withLock { isSilent in
      defer { isSilent = false }
      return isSilent
    }
    if isBack, breaker.state != .closed {
      breaker.noteReturn()
      for _ in 0..<breaker.options.successesToClose { health = try await ask() }
    }
    guard breaker.state != .closed else { return health }
    for index in health.stores.indices where health.stores[index].health.state == .active {
      health.stores[index].health.state = .offline
      health.stores[index].health.reason = "the server failed lately: its circuit breaker is open"
    }
    return health
  }

  private func ask() async throws(ChunkStoreError) -> StorageServerHealth {
    let permit = breaker.state == .closed ? nil : breaker.admit()
    do throws(ChunkStoreError) {
      let health = try await inner.health()
      if let permit { breaker.record(.success, of: permit) }
      return health
    } catch {
      let verdict = Task.isCancelled ? .unknown : CircuitBreaker.Verdict(error)
      if let permit { breaker.record(verdict, of: permit) }
      if verdict == .failure { isSilent.withLock { $0 = true } }
      throw error
    }
  }

  func store(_ id: StoreID) -> any ChunkStore { guarding(inner.store(id)) }

  func close() async { await inner.close() }
}
