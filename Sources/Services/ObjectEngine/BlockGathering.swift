import Base
import ChunkStore
import Erasure
import Metadata
import Runtime
import Sealing

/// The same part of the blocks of one stripe, and which of them are wanted.
struct BlockRequest: Sendable {
  let stripe: Stripe
  let part: Range<Int>
  let wanted: ClosedRange<Int>
  let memory: AlignedBuffer
  let layout: StripeLayout

  /// The part as bytes of each chunk's data.
  var chunkRange: Range<Int> {
    stripe.chunkOffset + part.lowerBound..<stripe.chunkOffset + part.upperBound
  }

  /// Whether blocks can be opened where they came to: no segment lies in two of them.
  var isLendable: Bool {
    stripe.blockLength.isMultiple(of: SegmentLayout.storedByteCount)
  }

  /// Where the part of block `index` lies in the buffer.
  func place(of index: Int) -> Int { layout.block(index) + part.lowerBound }
}

/// Where the part of a block is that was read.
enum BlockPlace: Sendable {
  /// In the request's buffer.
  case buffer
  /// Where it came to.
  case lent(any LentBytes)
}

/// What became of the read of a block.
enum BlockOutcome: Sendable {
  case read(Duration, ReadPace.Kind, BlockPlace)
  /// `isWhole` says that the chunk gives nothing, not only this block.
  case failed(ChunkStoreError, isWhole: Bool)
}

/// Reads blocks of a stripe from stores that may be slow, hang or fail: all that are wanted at
/// once, and parity as soon as one of them does not come. Used by one task.
final class BlockGathering {
  private enum Event: Sendable {
    case block(Int, BlockOutcome)
    /// So much time has passed since reads began.
    case tick(Duration, isStall: Bool)
    /// The time for all of it is up.
    case limit
  }

  private typealias Group = ThrowingTaskGroup<Event, any Error>

  /// Blocks that have been read.
  private(set) var have: [Int: BlockPlace] = [:]
  /// Chunks that failed, to be told.
  private(set) var failures: [(index: Int, error: ChunkStoreError)] = []

  private let reader: ExtentReader
  private let request: BlockRequest
  private let options: FaultTolerance
  private let pace: ReadPace
  /// When the reads began that run.
  private var running: [Int: Duration] = [:]
  /// Those of them that nobody waits for.
  private var late: Set<Int> = []
  /// Chunks that gave nothing in this round.
  private var spent: Set<Int> = []
  /// When the time for all of it is up.
  private let end: Duration
  private var isLimitArmed = false
  private var isOver = false

  private var needed: Int { reader.geometry.scheme.data }

  init(_ reader: ExtentReader, _ request: BlockRequest) {
    self.reader = reader
    self.request = request
    options = reader.options
    pace = reader.pace
    end = reader.options.clock.now + reader.options.readLimit
  }

  /// Returns when the wanted blocks, or any k, have been read and no read touches the buffer.
  /// Throws `EngineError.unreadable` when fewer than k chunks give theirs, retries included, or do
  /// so within the read limit.
  func run() async throws {
    var round = 0
    while true {
      let isDone = try await ChunkCallPolicy.$allowsRetries.withValue(false) {
        try await withThrowingTaskGroup(of: Event.self) { try await self.gather(&$0) }
      }
      if isDone { return }
      let again = reader.transientFailures.union(running.keys)
      let now = options.clock.now
      guard !isOver, have.count + again.count >= needed,
        let delay = options.retry.delay(before: round, now: now, random: reader.random),
        now + delay < end
      else { throw EngineError.unreadable(available: have.count, needed: needed) }
      try await options.clock.pause(delay)
      reader.forgive(again)
      running = [:]
      late = []
      spent = []
      isLimitArmed = false
      round += 1
    }
  }

  private var isComplete: Bool {
    have.count >= needed || request.wanted.allSatisfy { have[$0] != nil }
  }

  /// Reads that may still give something in time.
  private var promising: Int { have.count + running.count - late.count }

  private func gather(_ group: inout Group) async throws -> Bool {
    defer { group.cancelAll() }
    let first = firstChoice()
    pace.begin(reads: first.count)
    start(first.filter { !takeAtOnce($0) }, in: &group)
    while !isComplete {
      if running.isEmpty { return false }
      guard let event = try await group.next() else { return false }
      try Task.checkCancellation()
      switch event {
      case .block(let index, .read(let duration, let kind, let place)):
        forget(index)
        have[index] = place
        pace.note(duration, kind, of: reader.extent.stores[index])
      case .block(let index, .failed(let error, let isWhole)):
        forget(index)
        spent.insert(index)
        failures.append((index, error))
        reader.mark(index, error, isWhole: isWhole)
        if !isOver { standIn(&group) }
      case .tick(let age, let isStall):
        guard !isOver else { continue }
        hedge(age, isStall: isStall, in: &group)
        guard isStall else { continue }
        if have.count + running.count < needed { return false }
        if candidates().isEmpty { armLimit(in: &group) }
      case .limit:
        // What has come by now still counts, so that the loop goes on until none runs.
        isOver = true
        group.cancelAll()
      }
    }
    return true
  }

  /// Waits for the reads that run no longer than until the end.
  ///
  /// Begun only when nothing is left to be asked, which the last reads' stall always finds: until
  /// then there is something better to do than to give up.
  private func armLimit(in group: inout Group) {
    guard !isLimitArmed else { return }
    isLimitArmed = true
    let (clock, rest) = (options.clock, end - options.clock.now)
    group.addTask {
      try? await clock.pause(rest)
      return .limit
    }
  }

  private func forget(_ index: Int) {
    running[index] = nil
    late.remove(index)
  }

  /// The wanted blocks where their stores are prompt, else those of the k most prompt.
  private func firstChoice() -> [Int] {
    let ranked = candidates()
    let wanted = request.wanted.filter { have[$0] == nil }
    let prompt = Set(ranked.filter { $0.penalty == 0 }.map(\.index))
    if wanted.allSatisfy({ prompt.contains($0) }) { return wanted }
    return ranked.prefix(max(0, needed - have.count)).map(\.index)
  }

  /// Chunks that may be asked, the best first.
  private func candidates() -> [(index: Int, penalty: Int)] {
    (0..<reader.geometry.scheme.total).compactMap { index in
      guard have[index] == nil, running[index] == nil, !spent.contains(index),
        let penalty = reader.penalty(index)
      else { return nil }
      return (index, penalty)
    }.sorted {
      ($0.penalty, isExtra($0.index), $0.index) < ($1.penalty, isExtra($1.index), $1.index)
    }
  }

  private func isExtra(_ index: Int) -> Int { request.wanted.contains(index) ? 0 : 1 }

  /// Reads others in place of those that failed.
  private func standIn(_ group: inout Group) {
    let isOnTheWay = request.wanted.allSatisfy {
      have[$0] != nil || (running[$0] != nil && !late.contains($0))
    }
    guard !isOnTheWay else { return }
    let others = candidates().prefix(max(0, needed - promising)).map(\.index)
    pace.begin(reads: others.count)
    start(others, in: &group)
  }

  /// Reads others in place of those that are slow, as far as the budget allows; those that stand
  /// still are replaced in any case.
  private func hedge(_ age: Duration, isStall: Bool, in group: inout Group) {
    let now = options.clock.now
    let slow = running.filter { !late.contains($0.key) && now - $0.value >= age }
    guard !slow.isEmpty else { return }
    // Where all are slow, those there are must do: whichever k come first.
    let others = candidates().prefix(max(0, needed - promising + slow.count))
    if isStall {
      pace.begin(reads: others.count)
    } else {
      guard !others.isEmpty, pace.takeHedges(others.count) else { return }
    }
    late.formUnion(slow.keys)
    for index in slow.keys { reader.suspect(index) }
    start(others.map(\.index), in: &group)
  }

  /// Reads a block that has come already, and so costs no task; false when it may not have.
  private func takeAtOnce(_ index: Int) -> Bool {
    let start = options.clock.now
    guard let place = reader.fetchAtOnce(index, request) else { return false }
    have[index] = place
    pace.note(options.clock.now - start, kind, of: reader.extent.stores[index])
    return true
  }

  /// How reads take whose chunks are open.
  private var kind: ReadPace.Kind {
    request.part.count > ChunkLimits.checksumSpan ? .block : .piece
  }

  private func start(_ indices: [Int], in group: inout Group) {
    guard !indices.isEmpty else { return }
    let (reader, request, clock) = (reader, request, options.clock)
    let isOpening = indices.contains { !reader.isOpen($0) }
    let kind = isOpening ? .opening : kind
    for index in indices {
      running[index] = clock.now
      group.addTask { .block(index, await reader.fetch(index, request, kind)) }
    }
    for (delay, isStall) in [(pace.threshold(kind), false), (options.readStall, true)] {
      group.addTask {
        try? await clock.pause(delay)
        return .tick(delay, isStall: isStall)
      }
    }
  }
}
