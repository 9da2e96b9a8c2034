public import Base
import ChunkStore
import Erasure
import Metadata
public import ObjectEngine
import Placement
import Runtime
import Synchronization
public import Telemetry

/// What a repair came to.
public enum RepairOutcome: Hashable, Sendable {
  /// All chunks that were asked for are there, durable and recorded.
  case repaired(chunks: UInt32)
  /// Some are; why the others are not.
  case incomplete(repaired: UInt32, reason: String)
  /// The extent is not there any more.
  case gone
  /// The extent was deleted or changed meanwhile: nothing was recorded.
  case superseded
  /// Fewer than k chunks can be read: nothing was changed.
  case unreadable(available: Int, needed: Int)
  /// What came out is not what was written: nothing was changed.
  case refused(String)
  /// Another task repairs this extent.
  case busy
}

/// Makes chunks of one extent again.
///
/// A chunk is written only when it has the SHA-256 that the metadata has, and recorded only when
/// the extent is as it was when the repair began. Nothing is ever deleted but what a repair itself
/// wrote and could not record, and what it replaced elsewhere. Its calls run on the caller's
/// executor, which may block.
public final class ExtentRepairer: Sendable {
  let engine: ObjectEngine
  let log: Log
  private let inspector: ChunkInspector
  /// Whether other processes may repair too, so that only work under a lease does.
  private let isShared: Bool
  let running = Mutex<Set<ExtentID>>([])
  /// What is left of chunks that were moved; those of an extent change only while it is in
  /// `running`, but for new ones.
  let formerCopies = FormerCopyList()

  /// Repairs extents of `engine`; with `isShared` only under a lease.
  public init(engine: ObjectEngine, isShared: Bool = false, log: Log) {
    self.engine = engine
    self.isShared = isShared
    self.log = log.named("repair")
    inspector = ChunkInspector(engine: engine)
  }

  /// Whether the current task may repair.
  var mayRepair: Bool { !isShared || WorkLease.current != nil }

  /// Makes the chunks of the extent whose bits are set; those that turn out to be good are left as
  /// they are. Throws what the metadata throws, and `CancellationError`.
  public func repair(_ id: ExtentID, chunks: UInt32) async throws -> RepairOutcome {
    let results = try await repair([(id, chunks)])
    if let failure = results.failure { throw failure }
    return results.outcomes.first ?? .gone
  }

  /// Repairs several extents, each once, one after the other, and records them together: they share a
  /// commit and a piece of the change log. Rests between two.
  ///
  /// The outcomes are in the order of the items. After an error there are none of those behind it;
  /// those before it are recorded all the same. Throws when they cannot be.
  func repair(
    _ items: [(id: ExtentID, chunks: UInt32)]
  ) async throws -> (outcomes: [RepairOutcome], failure: (any Error)?) {
    // All at once: of two tasks that come together with the same items, one has nothing to do and
    // looks further.
    let free = running.withLock { running in
      Set(items.map(\.id)).filter { running.insert($0).inserted }
    }
    defer { running.withLock { $0.subtract(free) } }
    // As a running read: should an extent be deleted from here on, its chunks stay until the end.
    let token = engine.reads.begin(at: engine.clock.now)
    defer { engine.reads.end(token) }
    // As a running write: places chosen by a former ring are known to be used.
    let write = engine.writes.begin(at: engine.clock.now)
    defer { engine.writes.end(write) }
    var outcomes: [RepairOutcome] = []
    var jobs: [(place: Int, job: RepairJob)] = []
    var failure: (any Error)?
    for (place, item) in items.enumerated() {
      outcomes.append(.busy)
      guard free.contains(item.id) else { continue }
      do {
        if !jobs.isEmpty { try await DutyCycle.current?.rest() }
        switch try await remake(item.id, chunks: item.chunks) {
        case .made(let job): jobs.append((place, job))
        case .over(let outcome): outcomes[place] = outcome
        }
      } catch {
        failure = error
        break
      }
    }
    for ((place, _), outcome) in zip(jobs, try await record(jobs.map(\.job))) {
      outcomes[place] = outcome
    }
    return (outcomes, failure)
  }

  private enum Remade {
    /// To be recorded.
    case made(RepairJob)
    case over(RepairOutcome)
  }

  /// Makes chunks of an extent again, unless they are good; nothing is recorded.
  private func remake(_ id: ExtentID, chunks: UInt32) async throws -> Remade {
    guard let extent = try await engine.metadata.extent(id) else { return .over(.gone) }
    let geometry: ExtentGeometry
    do { geometry = try ObjectEngine.geometry(of: extent) } catch {
      return .over(.refused("the extent's row makes no sense"))
    }
    let total = geometry.scheme.total
    let all = total < 32 ? (UInt32(1) << UInt32(total)) - 1 : UInt32.max
    var job = RepairJob(extent: extent, wanted: chunks & all)
    for index in job.wanted.bits {
      switch await inspector.inspect(extent, chunk: index) {
      case .good: job.good |= 1 << UInt32(index)
      case .corrupt: job.corrupt |= 1 << UInt32(index)
      case .missing, .unreachable: break
      }
    }
    chooseTargets(&job)
    if let outcome = try await make(&job) { return .over(outcome) }
    return .made(job)
  }

  /// Where each chunk goes: to its own store if that takes writes, else to one without siblings.
  private func chooseTargets(_ job: inout RepairJob) {
    var taken = job.extent.stores
    for index in job.wanted.bits where job.good & 1 << UInt32(index) == 0 {
      let own = job.extent.stores[index]
      if engine.stores.state(of: own) == .active {
        job.targets[index] = own
      } else if let other = engine.stores.placeOne(job.extent.id, beside: taken)
        ?? place(lost: index, of: job, taken: taken)
      {
        job.targets[index] = other
        taken.append(other)
      } else {
        job.obstacle = "no store takes chunk \(index)"
      }
    }
  }

  /// Where a chunk goes whose store is not expected back when all others hold siblings: to one of
  /// them, as long as no server gets more than may be lost.
  private func place(lost index: Int, of job: RepairJob, taken: [StoreID]) -> StoreID? {
    let own = job.extent.stores[index]
    guard engine.stores.ring.node(own)?.state != .active else { return nil }
    let kept = taken.filter { engine.stores.ring.node($0)?.state == .active }
    return engine.stores.placeDoubled(
      job.extent.id, beside: kept, limit: max(1, job.extent.parityCount))
  }

  /// Makes and writes the chunks that have a target; an outcome when it is of no use.
  func make(_ job: inout RepairJob) async throws -> RepairOutcome? {
    // Stores that do not answer would be waited for at every extent: the last resort.
    var absent = absentSources(of: job.extent)
    var excluding = absent
    while !job.targets.isEmpty {
      var bits: UInt32 = 0
      for index in job.targets.keys { bits |= 1 << UInt32(index) }
      let rebuild: ChunkRebuild
      do {
        rebuild = try await engine.rebuild(
          job.extent, chunks: bits, excluding: excluding, isCopy: job.isMove)
      } catch EngineError.corrupt {
        return .refused("the extent is beyond the bounds of the format")
      }
      defer { rebuild.close() }
      do {
        try await write(rebuild, &job)
        try await queueBadSources(rebuild, job)
        return nil
      } catch EngineError.unreadable(let available, let needed) {
        try await queueBadSources(rebuild, job)
        guard absent != 0 else { return .unreadable(available: available, needed: needed) }
        excluding &= ~absent
        absent = 0
      } catch EngineError.corrupt {
        // One of the chunks that were read lies: its checksums fit its data, the data is not what
        // was written. Only the metadata's digests tell which.
        let liars = await liars(among: rebuild.usedSources & ~excluding, of: job.extent)
        log.error(
          "chunks read for a repair are not what was written",
          [("extent", "\(job.extent.id)"), ("chunks", "\(liars.bits)")])
        guard liars != 0 else { return .refused("the chunks made do not match their digests") }
        let others = liars & ~job.wanted
        if others != 0 {
          try await engine.metadata.queueRepair(
            job.extent.id, chunks: others, reason: "corrupt when read for a repair")
        }
        excluding |= liars
      }
    }
    return nil
  }

  /// The chunks whose stores are known to be offline.
  private func absentSources(of extent: Extent) -> UInt32 {
    var result: UInt32 = 0
    for (index, store) in extent.stores.enumerated()
    where index < 32 && engine.stores.state(of: store) == .offline {
      result |= 1 << UInt32(index)
    }
    return result
  }

  private func liars(among chunks: UInt32, of extent: Extent) async -> UInt32 {
    var result: UInt32 = 0
    for index in chunks.bits where await inspector.inspect(extent, chunk: index).isBad {
      result |= 1 << UInt32(index)
    }
    return result
  }

  private func queueBadSources(_ rebuild: ChunkRebuild, _ job: RepairJob) async throws {
    let bad = rebuild.badSources & ~job.wanted
    guard bad != 0 else { return }
    try await engine.metadata.queueRepair(
      job.extent.id, chunks: bad, reason: "bad when read for a repair")
  }
}
