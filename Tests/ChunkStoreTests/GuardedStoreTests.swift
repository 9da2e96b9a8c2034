import Base
import ChunkStore
import Erasure
import Runtime
import Synchronization
import TestSupport
import Testing

/// A store whose calls fail or hang as it is told, and that counts them.
private final class MoodyStore: ChunkStore {
  enum Mood: Sendable {
    case well
    case failing(ChunkStoreError)
    case hanging
  }

  let id = StoreID(high: 1, low: 2)
  private let state = Mutex((mood: Mood.well, failures: Int.max, calls: 0))

  var calls: Int { state.withLock { $0.calls } }

  /// Feels like that for so many calls.
  func feel(_ mood: Mood, for calls: Int = .max) { state.withLock { $0 = (mood, calls, 0) } }

  func call() async throws(ChunkStoreError) {
    let mood = state.withLock { state in
      state.calls += 1
      return state.calls <= state.failures ? state.mood : .well
    }
    switch mood {
    case .well: return
    case .failing(let error): throw error
    case .hanging:
      try? await Task.sleep(for: .seconds(3600))
      throw .offline("given up")
    }
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) { try await call() }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await call()
    return Stream(self)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await call()
    return Stream(self)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) { try await call() }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await call()
    throw .missing
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) { try await call() }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await call()
    return ChunkPage(chunks: [], next: nil)
  }

  func health() async -> StoreHealth {
    StoreHealth(
      state: .active, reason: "", capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
  }

  final class Stream: ChunkWriter, ChunkReader {
    let trailer = GuardedStoreTests.trailer
    private let store: MoodyStore

    init(_ store: MoodyStore) { self.store = store }

    func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
      try await store.call()
    }
    func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) { try await store.call() }
    func abort() async {}
    func read(
      _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
    ) async throws(ChunkStoreError) { try await store.call() }
    func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)? {
      try await store.call()
      return LentArray([7])
    }
    func close() {}
  }
}

@Suite("Guarded store")
struct GuardedStoreTests {
  fileprivate static let trailer = ChunkDigester(
    id: ChunkID(extent: ExtentID(epoch: 1, random: (2, 3)), index: 0)
  ).finish(extentLength: 1, storedLength: 17, wrappedKey: [], descriptor: [])

  private let store = MoodyStore()
  private let clock = SteppedClock(jumps: true)
  private let chunk = ChunkID(extent: ExtentID(epoch: 1, random: (2, 3)), index: 0)

  private func guarded(
    _ options: CircuitBreaker.Options = .init(failuresToOpen: 100), seed: UInt64 = 1
  ) -> GuardedChunkStore {
    GuardedChunkStore(
      store, breaker: CircuitBreaker(options: options, clock: clock), clock: clock,
      random: SeededRandom(seed: seed))
  }

  private var header: ChunkHeader {
    ChunkHeader(id: chunk, scheme: .standard, cluster: ClusterID(high: 1, low: 1))
  }

  @Test("delays lie under 1, 2, 4 and then 8 seconds, all over the span, and end after the last")
  func schedule() {
    let policy = RetryPolicy(maximumRetries: 6)
    #expect((0..<6).map(policy.ceiling) == [1, 2, 4, 8, 8, 8].map { .seconds($0) })
    let random = SeededRandom(seed: 7)
    for number in 0..<6 {
      let delays = (0..<400).compactMap { _ in
        policy.delay(before: number, now: .zero, random: random)
      }
      let ceiling = policy.ceiling(number)
      #expect(delays.count == 400 && delays.allSatisfy { $0 >= .zero && $0 < ceiling })
      #expect(delays.contains { $0 < ceiling / 10 } && delays.contains { $0 > ceiling * 0.9 })
    }
    #expect(RetryPolicy().delay(before: 3, now: .zero, random: random) == nil)
    #expect(policy.ceiling(.max) == .seconds(8))
  }

  @Test("what is safe to repeat is called four times in all, and succeeds when the last does")
  func repeats() async throws {
    let guarded = guarded()
    store.feel(.failing(.offline("")), for: 3)
    try await guarded.delete([chunk])
    #expect(store.calls == 4 && clock.pauses.count == 3)
    for (number, pause) in clock.pauses.enumerated() {
      #expect(pause < RetryPolicy().ceiling(number))
    }
    store.feel(.failing(.io("")))
    await #expect(throws: ChunkStoreError.io("")) { try await guarded.verify(chunk) }
    #expect(store.calls == 4)
    store.feel(.failing(.offline("")), for: 2)
    _ = try await guarded.list(from: nil, limit: 1)
    #expect(store.calls == 3)
    store.feel(.failing(.offline("")), for: 1)
    let reader = try await guarded.openChunk(chunk)
    store.feel(.failing(.offline("")), for: 1)
    try await reader.read(0..<1, into: AlignedBuffer(count: 1), at: 0)
    #expect(store.calls == 2)
    store.feel(.failing(.offline("")), for: 1)
    #expect(try await reader.lend(0..<1)?.count == 1)
    #expect(store.calls == 2)
  }

  @Test(
    "an error that lasts is not tried again",
    arguments: [ChunkStoreError.missing, .corrupt(""), .full, .fenced(""), .tooLarge("")])
  func lasting(error: ChunkStoreError) async {
    store.feel(.failing(error))
    await #expect(throws: error) { _ = try await guarded().openChunk(chunk) }
    #expect(store.calls == 1)
  }

  @Test("nothing of a write is repeated")
  func writes() async throws {
    let guarded = guarded()
    let buffer = AlignedBuffer(count: 1)
    let writer = try await guarded.beginChunk(header)
    let header = header
    let writes: [@Sendable () async throws -> Void] = [
      { _ = try await guarded.beginChunk(header) },
      {
        try await guarded.putSmall(header, data: buffer, range: 0..<1, trailer: Self.trailer)
      },
      { try await writer.append(buffer, 0..<1) },
      { try await writer.finish(Self.trailer) },
    ]
    for write in writes {
      store.feel(.failing(.offline("")))
      await #expect(throws: ChunkStoreError.offline("")) { try await write() }
      #expect(store.calls == 1)
    }
    #expect(clock.pauses.isEmpty)
  }

  @Test("no retry where the caller wants none, or behind the deadline of the request")
  func limits() async {
    let guarded = guarded()
    store.feel(.failing(.offline("")))
    await ChunkCallPolicy.$allowsRetries.withValue(false) {
      await #expect(throws: ChunkStoreError.self) { try await guarded.verify(chunk) }
    }
    #expect(store.calls == 1)
    store.feel(.failing(.offline("")))
    let deadline = clock.now + .milliseconds(1)
    await ChunkCallPolicy.$deadline.withValue(deadline) {
      await #expect(throws: ChunkStoreError.self) { try await guarded.verify(chunk) }
    }
    #expect(clock.now < deadline)
  }

  @Test("an open breaker fails calls at once, without asking the store or waiting for a retry")
  func open() async throws {
    let guarded = guarded(.init())
    store.feel(.failing(.offline("")))
    for _ in 0..<2 {
      await #expect(throws: ChunkStoreError.self) { try await guarded.verify(chunk) }
    }
    #expect(guarded.breaker.state == .open && store.calls == 5)
    store.feel(.well)
    await ChunkCallPolicy.$allowsRetries.withValue(false) {
      await #expect(throws: ChunkStoreError.self) { _ = try await guarded.beginChunk(header) }
    }
    #expect(store.calls == 0)
    #expect(await guarded.health().state == .active)
    clock.advance(.seconds(30))
    for _ in 0..<3 { try await guarded.verify(chunk) }
    #expect(guarded.breaker.state == .closed)
  }

  @Test("a call that the breaker refuses is not tried again, and neither is one that opened it")
  func refusals() async throws {
    let chunk = chunk
    let guarded = guarded(.init(failuresToOpen: 2, openDuration: .seconds(3600)))
    let reader = try await guarded.openChunk(chunk)
    store.feel(.failing(.offline("away")))
    await #expect(throws: ChunkStoreError.offline("away")) { try await guarded.verify(chunk) }
    // The first failure is tried again; the second opens the breaker, and there is nothing to
    // wait for.
    #expect(store.calls == 2 && clock.pauses.count == 1)
    #expect(guarded.breaker.state == .open)
    let calls: [@Sendable () async throws -> Void] = [
      { try await guarded.verify(chunk) }, { _ = try await guarded.stat(chunk) },
      { try await guarded.delete([chunk]) }, { _ = try await guarded.openChunk(chunk) },
      { _ = try await guarded.list(from: nil, limit: 1) },
      { try await reader.read(0..<1, into: AlignedBuffer(count: 1), at: 0) },
    ]
    for call in calls {
      await #expect(throws: ChunkStoreError.self) { try await call() }
      #expect(store.calls == 2 && clock.pauses.count == 1)
    }
    #expect(guarded.breaker.counts.refusals == calls.count)
  }

  @Test("a stream that runs is not stopped by the breaker, and its end counts")
  func stream() async throws {
    let guarded = guarded(.init(failuresToOpen: 1, successesToClose: 1))
    let writer = try await guarded.beginChunk(header)
    store.feel(.failing(.offline("")), for: 1)
    await ChunkCallPolicy.$allowsRetries.withValue(false) {
      await #expect(throws: ChunkStoreError.self) { try await guarded.verify(chunk) }
    }
    #expect(guarded.breaker.state == .open)
    try await writer.append(AlignedBuffer(count: 1), 0..<1)
    clock.advance(.seconds(30))
    try await guarded.verify(chunk)
    #expect(guarded.breaker.state == .closed)
    store.feel(.failing(.offline("")))
    await #expect(throws: ChunkStoreError.self) { () async throws -> Void in
      try await writer.finish(Self.trailer)
    }
    #expect(guarded.breaker.state == .open)
  }

  @Test("a cancelled wait for a retry ends at once; a cancelled call says nothing of the server")
  func cancellation() async {
    let still = SteppedClock()
    let guarded = GuardedChunkStore(
      store, breaker: CircuitBreaker(options: .init(failuresToOpen: 2), clock: still),
      clock: still, random: SeededRandom(seed: 3))
    store.feel(.failing(.offline("")))
    let (store, chunk) = (store, chunk)
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await #expect(throws: ChunkStoreError.offline("")) { try await guarded.verify(chunk) }
      }
      while still.sleeping == 0 { await Task.yield() }
      group.cancelAll()
    }
    #expect(store.calls == 1 && still.sleeping == 0)
    store.feel(.hanging)
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await #expect(throws: ChunkStoreError.self) { try await guarded.verify(chunk) }
      }
      while store.calls == 0 { await Task.yield() }
      group.cancelAll()
    }
    #expect(guarded.breaker.state == .closed)
  }
}
