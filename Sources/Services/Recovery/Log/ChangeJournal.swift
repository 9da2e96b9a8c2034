import Base
import ChunkStore
import Erasure
public import Metadata
import ObjectEngine
import Runtime
import Sealing
import Synchronization
import Telemetry

/// Appends committed changes to the log in the stores before they are acknowledged.
///
/// While one group is being written, the changes that come meanwhile gather for the next: many
/// commits share one piece and one sync of each store. There is no task of its own: the first
/// caller writes for all, and hands the turn on.
///
/// What no store took stays committed, and others may build on it: it goes along with the next
/// group, so that nothing is acknowledged that a rebuild would find without its foundation.
public final class ChangeJournal: ChangeSink {
  enum Step {
    case lead
    case done(Bool)
  }

  struct Entry {
    let record: ChangeRecord
    let continuation: CheckedContinuation<Step, Never>?
  }

  struct State {
    var queue: [Entry] = []
    /// Of numbers that are being written: who else waits for them.
    var inFlight: [Int64: [CheckedContinuation<Step, Never>]] = [:]
    var isBusy = false
    /// Records that no store took, in the order of their groups.
    var untaken: [ChangeRecord] = []
    /// Numbers that are in the log, newest last, for callers that come late.
    var done: Set<Int64> = []
    var doneOrder: [Int64] = []
    /// Numbers whose marks are to be forgotten.
    var unforgotten: [Int64] = []
    var chosen: [StoreID] = []
    var status = ChangeLogStatus()
    var log: [UInt8] = []
    /// Pieces that too few stores took, oldest first.
    var short: [ShortPiece] = []
    /// Whether there were more of them than are kept.
    var hasForgottenShort = false
    /// When a store that is not well was last tried for want of others.
    var tried: [StoreID: Timestamp] = [:]
  }

  /// Bytes of records that one group takes, about.
  static let groupLength = 4 << 20
  /// Changes of records that no store took which are kept at most; what is more is found by its
  /// marks, later.
  private static let untakenLimit = 16_384
  /// Numbers that are remembered for callers that come late.
  private static let memory = 16_384
  /// Pieces with too few copies that are remembered one by one.
  static let shortLimit = 65_536
  /// How long a store that is not well is left alone after it was tried for want of others.
  private static let doubtMilliseconds: Int64 = 30_000

  let engine: ObjectEngine
  let logStores: LogStores
  /// Stores that each piece should go to, where there are so many.
  let copies: Int
  private let buffers = BufferPool(limit: 32 << 20, cacheLimit: 1 << 20)
  private let random: any RandomSource
  let log: Log
  let state: Mutex<State>

  init(
    engine: ObjectEngine, stores: LogStores, logID: [UInt8], random: any RandomSource, log: Log
  ) {
    self.engine = engine
    logStores = stores
    let scheme = engine.configuration.scheme
    copies = max(1, stores.configuration.logCopies ?? scheme.parity + 1)
    self.random = random
    self.log = log.named("change-log")
    var state = State()
    state.log = logID
    state.status.isOn = true
    state.status.wantedCopies = min(copies, stores.stores.all.count)
    self.state = Mutex(state)
  }

  /// How it fares.
  public var status: ChangeLogStatus {
    var (status, short) = state.withLock { ($0.status, $0.short.count) }
    status.wantedCopies = wanted
    status.availableCopies = min(wanted, logStores.takerCount)
    status.shortPieces = short
    return status
  }

  /// Stores that each piece should go to now.
  var wanted: Int { min(copies, logStores.stores.all.count) }

  /// Whether this process knows any store.
  public var hasStores: Bool { !logStores.stores.all.isEmpty }

  /// Whether a record of that number is in the log, as far as that is remembered.
  public func isLogged(_ number: Int64) -> Bool {
    state.withLock { $0.done.contains(number) }
  }

  /// Numbers that are waiting or being written.
  var unfinished: Set<Int64> {
    state.withLock { state in
      Set(state.inFlight.keys).union(state.queue.map(\.record.number))
    }
  }

  /// Begins another log: what is appended from now on belongs to it.
  func begin(_ log: [UInt8]) {
    state.withLock { state in
      state.log = log
      // They are in the snapshot that it goes on from.
      state.untaken = []
    }
  }

  /// Returns once the record is durable in at least one store of the log, and in all that should
  /// have it as far as they take it. Throws `unknownOutcome` when none does.
  public func append(_ record: ChangeRecord) async throws {
    let (isDone, leads) = state.withLock { state in
      if state.done.contains(record.number) { return (true, false) }
      guard !state.isBusy else { return (false, false) }
      state.isBusy = true
      state.queue.append(Entry(record: record, continuation: nil))
      return (false, true)
    }
    if isDone { return }
    let step = leads ? .lead : await wait(for: record)
    let isLogged =
      switch step {
      // For others as well, whose changes are committed: the first caller's end is not theirs.
      case .lead: await Task(executorPreference: engine.pool) { await self.lead() }.value
      case .done(let isLogged): isLogged
      }
    guard isLogged else { throw MetadataError.unknownOutcome }
  }

  private func wait(for record: ChangeRecord) async -> Step {
    await withCheckedContinuation { (continuation: CheckedContinuation<Step, Never>) in
      let step: Step? = state.withLock { state in
        if state.done.contains(record.number) { return .done(true) }
        if state.inFlight[record.number] != nil {
          state.inFlight[record.number]?.append(continuation)
          return nil
        }
        state.queue.append(Entry(record: record, continuation: continuation))
        guard !state.isBusy else { return nil }
        state.isBusy = true
        return .lead
      }
      if let step { continuation.resume(returning: step) }
    }
  }

  /// Writes one group, of which the caller's record is one; whether it is in the log.
  private func lead() async -> Bool {
    let (records, waiting, logID) = state.withLock { state in
      var records = state.untaken
      state.untaken = []
      var waiting: [CheckedContinuation<Step, Never>] = []
      var length = 0
      var taken = 0
      var numbers = Set(records.map(\.number))
      for record in records { state.inFlight[record.number] = [] }
      for entry in state.queue {
        if taken > 0, length >= Self.groupLength { break }
        taken += 1
        if let continuation = entry.continuation, taken > 1 { waiting.append(continuation) }
        guard numbers.insert(entry.record.number).inserted else { continue }
        records.append(entry.record)
        length += 256 * entry.record.changes.count
        state.inFlight[entry.record.number] = []
      }
      state.queue.removeFirst(taken)
      return (records, waiting, state.log)
    }
    let isLogged = await write(records, logID)
    let (next, others) = state.withLock { state in
      var others: [CheckedContinuation<Step, Never>] = []
      for record in records {
        others += state.inFlight.removeValue(forKey: record.number) ?? []
        if isLogged { Self.remember(record.number, &state) }
      }
      if !isLogged {
        state.status.failedGroups += 1
        Self.keep(records, &state)
      }
      state.isBusy = !state.queue.isEmpty
      return (state.queue.first?.continuation, others)
    }
    next?.resume(returning: .lead)
    for continuation in waiting + others { continuation.resume(returning: .done(isLogged)) }
    return isLogged
  }

  /// Keeps what no store took for the next group, the newest first where that is too much.
  private static func keep(_ records: [ChangeRecord], _ state: inout State) {
    var count = 0
    let kept = records.reversed().prefix { record in
      count += record.changes.count
      return count <= untakenLimit
    }
    state.untaken = kept.reversed()
  }

  private static func remember(_ number: Int64, _ state: inout State) {
    state.unforgotten.append(number)
    state.done.insert(number)
    state.doneOrder.append(number)
    if state.doneOrder.count > 2 * memory {
      for old in state.doneOrder.prefix(memory) { state.done.remove(old) }
      state.doneOrder.removeFirst(memory)
    }
  }

  /// Numbers that came into the log since the last call.
  func takeLogged() -> [Int64] {
    state.withLock { state in
      defer { state.unforgotten = [] }
      return state.unforgotten
    }
  }

  // MARK: Writing

  /// Writes a group to as many stores as it should go to; whether one has it.
  private func write(_ records: [ChangeRecord], _ logID: [UInt8]) async -> Bool {
    let last = records.reduce(0) { max($0, $1.number) }
    guard last > 0, last <= SystemExtentID.maximumNumber else { return false }
    let chunks: [SealedChunk]
    do {
      chunks = try await withTaskExecutorPreference(engine.pool) {
        try await seal(records, logID, last: last)
      }
    } catch {
      log.error("changes could not be sealed", [("error", "\(error)")])
      return false
    }
    CrashPoint.reach(.logSealed)
    // As any write: a ring is acknowledged when no piece goes by a former one any more.
    let write = engine.writes.begin(at: engine.clock.now)
    defer { engine.writes.end(write) }
    let key = chunks[0].header.id.extent
    let preferred = state.withLock { $0.chosen }
    var candidates = logStores.ranked(preferring: preferred, key: key)
    var taken: [StoreID] = []
    var failure: String?
    while taken.count < copies, !candidates.isEmpty {
      let round = logStores.pick(copies - taken.count, from: &candidates, beside: taken)
      // Deletes must be logged before they can free any space: full stores take them too. All but
      // one of the copies suffice for the others not to wait for a store that hangs, where another
      // can stand in for it; where none can, it is waited for as long as it may be reached.
      let enough = candidates.isEmpty ? round.count : max(1, copies - 1 - taken.count)
      taken += await put(chunks, to: round, enough: enough, &failure)
    }
    if taken.count < wanted {
      // One that failed a moment ago may be there again.
      let round = doubtful(key).prefix(copies - taken.count)
      var faults = engine.configuration.faults
      faults.writeLimit = min(faults.writeLimit, faults.writeGrace)
      faults.writeStall = min(faults.writeStall, faults.writeGrace)
      taken += await put(
        chunks, to: Array(round), enough: round.count, faults: faults, &failure)
    }
    CrashPoint.reach(.logWritten)
    note(taken, failure, chunks, records: records.count)
    return !taken.isEmpty
  }

  /// Stores that are not well and were not tried of late.
  private func doubtful(_ key: ExtentID) -> [StoreID] {
    let now = engine.clock.now
    let doubtful = logStores.doubtful(key: key)
    return state.withLock { state in
      let free = doubtful.filter { store in
        guard let last = state.tried[store] else { return true }
        let age = now.milliseconds - last.milliseconds
        return age < 0 || age >= Self.doubtMilliseconds
      }
      state.tried = state.tried.filter { doubtful.contains($0.key) }
      for store in free { state.tried[store] = now }
      return free
    }
  }

  /// Which of `round` took the chunks.
  private func put(
    _ chunks: [SealedChunk], to round: [StoreID], enough: Int, faults: FaultTolerance? = nil,
    _ failure: inout String?
  ) async -> [StoreID] {
    guard !round.isEmpty else { return [] }
    let errors = await engine.put(chunks, to: round, enough: enough, faults: faults)
    var taken: [StoreID] = []
    for store in round {
      guard let error = errors[store] else {
        taken.append(store)
        continue
      }
      failure = "\(error)"
      engine.stores.note(error, of: store)
      log.warning(
        "a store does not take the change log", [("store", "\(store)"), ("error", "\(error)")])
    }
    return taken
  }

  @concurrent
  private func seal(
    _ records: [ChangeRecord], _ logID: [UInt8], last: Int64
  ) async throws -> [SealedChunk] {
    let pieces = LogPiece.pieces(
      of: records.sorted { $0.number < $1.number }, log: logID, group: random.next(),
      limit: ObjectEngine.maximumSealedLength)
    var chunks: [SealedChunk] = []
    for piece in pieces {
      let id = SystemExtentID.changeLog(last: last)
        .id(random: UInt32(truncatingIfNeeded: random.next()))
      let bytes = piece.encoded
      var descriptor = ExtentDescriptor(
        kind: .changeLog, bucketID: 0, bucketName: "", key: logID, tenantID: 0, ownerID: 0,
        sequence: Int(last), lastModified: engine.clock.now, byteCount: bytes.count)
      descriptor.partNumber = piece.fragment
      chunks.append(
        try await engine.seal(bytes, as: id, descriptor, buffers: buffers))
    }
    return chunks
  }

  private func note(
    _ taken: [StoreID], _ failure: String?, _ chunks: [SealedChunk], records: Int
  ) {
    let wanted = wanted
    state.withLock { state in
      state.chosen = taken
      state.status.wantedCopies = wanted
      state.status.lastCopies = taken.count
      state.status.lastError =
        taken.count < wanted ? failure ?? "too few stores take the log" : nil
      guard !taken.isEmpty else { return }
      if taken.count < wanted {
        for chunk in chunks {
          Self.keep(ShortPiece(chunk: chunk.header.id, places: taken), &state)
        }
      }
      state.status.pieces += chunks.count
      state.status.records += records
      state.status.bytes += chunks.reduce(0) { $0 + $1.range.count }
    }
  }
}
