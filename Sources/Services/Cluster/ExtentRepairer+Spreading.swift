import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Synchronization

/// A chunk that lies in another store by now.
struct MovedChunk: Hashable, Sendable {
  let chunk: ChunkID
  /// Where its former copy lies.
  let formerStore: StoreID
}

extension ExtentRepairer {
  /// Where chunks that share a store with a sibling of a lower index go, by index; none where every
  /// store that takes writes holds a chunk of the extent already. Where none share a store, but
  /// more share servers or zones than have to: where the ring wants them.
  func spreadTargets(_ extent: Extent) -> [Int: StoreID] {
    var seen: Set<StoreID> = []
    var taken = extent.stores
    var targets: [Int: StoreID] = [:]
    for (index, store) in extent.stores.enumerated() where !seen.insert(store).inserted {
      guard let other = engine.stores.placeOne(extent.id, beside: taken) else { break }
      targets[index] = other
      taken.append(other)
    }
    guard seen.count == extent.stores.count, engine.stores.awaitsSpread(extent, at: extent.stores)
    else { return targets }
    return RebalancePlan(extent, stores: engine.stores).targets
  }

  /// Takes note that there is nothing to spread: the ring wants no better any more.
  func noteSpread(_ extent: Extent) async throws {
    let stores = extent.stores
    guard Set(stores).count == stores.count, !engine.stores.awaitsSpread(extent, at: stores) else {
      return
    }
    _ = try await engine.metadata.finishRepair(
      extent.id, chunks: 0, stores: stores, generation: extent.generation)
  }

  /// Makes chunks that share a store again in stores without siblings, as far as there are any.
  ///
  /// Their former copies stay: reads that run may hold the row as it was. They are for `remove`,
  /// once those reads have ended. Throws what the metadata throws, and `CancellationError`.
  func spread(_ id: ExtentID) async throws -> (outcome: RepairOutcome, moved: [MovedChunk]) {
    try await move(id) { self.spreadTargets($0) }
  }

  /// Makes chunks of an extent again in the stores that `choose` says, by index, and records that
  /// they lie there; as `spread`.
  func move(
    _ id: ExtentID, _ choose: (Extent) -> [Int: StoreID]
  ) async throws -> (outcome: RepairOutcome, moved: [MovedChunk]) {
    guard running.withLock({ $0.insert(id).inserted }) else { return (.busy, []) }
    defer { running.withLock { _ = $0.remove(id) } }
    // As a running read: should the extent be deleted from here on, its chunks stay until the end.
    let token = engine.reads.begin(at: engine.clock.now)
    defer { engine.reads.end(token) }
    let write = engine.writes.begin(at: engine.clock.now)
    defer { engine.writes.end(write) }
    guard let extent = try await engine.metadata.extent(id) else { return (.gone, []) }
    do { _ = try ObjectEngine.geometry(of: extent) } catch {
      return (.refused("the extent's row makes no sense"), [])
    }
    let targets = choose(extent)
    guard !targets.isEmpty else { return (.repaired(chunks: 0), []) }
    var job = RepairJob(
      extent: extent, wanted: targets.keys.reduce(0) { $0 | 1 << UInt32($1) })
    job.targets = targets
    job.isMove = true
    do {
      if let outcome = try await make(&job) { return (outcome, []) }
    } catch {
      // Chunks become visible one by one: some may be there already, where nothing names them.
      await withdraw(job)
      throw error
    }
    let outcome = try await record([job]).first ?? .gone
    switch outcome {
    case .repaired, .incomplete:
      let moved = job.written.keys.sorted().map {
        MovedChunk(
          chunk: ChunkID(extent: id, index: UInt8($0)), formerStore: extent.stores[$0])
      }
      return (outcome, moved)
    case .gone, .superseded, .unreadable, .refused, .busy:
      return (outcome, [])
    }
  }

  /// Deletes the former copy of a chunk, unless the extent's row, or the tombstone in `metadata`, as
  /// it is by now, says that it belongs there; false when another task is at work on the extent.
  ///
  /// Precondition: reads that began before the chunk was moved have ended.
  func remove(_ former: MovedChunk, _ metadata: (any MembershipStore)?) async throws -> Bool {
    let id = former.chunk.extent
    guard running.withLock({ $0.insert(id).inserted }) else { return false }
    defer { running.withLock { _ = $0.remove(id) } }
    // It may have been moved back while the others were looked at.
    guard formerCopies.contains(former) else { return true }
    let isElsewhere = try await isElsewhere(former, metadata)
    formerCopies.remove([former])
    if isElsewhere { await delete(former.chunk, at: former.formerStore) }
    return true
  }

  /// Whether a chunk belongs elsewhere than where its former copy lies, or nowhere any more. The
  /// stores of an extent that was deleted keep its chunks for the reads that run, and for a while.
  private func isElsewhere(
    _ former: MovedChunk, _ metadata: (any MembershipStore)?
  ) async throws -> Bool {
    let (id, index) = (former.chunk.extent, Int(former.chunk.index))
    let stores: [StoreID]
    if let metadata {
      switch try await metadata.standings(of: [id])[id] ?? .unknown {
      case .owned(let places), .dead(let places): stores = places
      case .quarantined(let places):
        return try await isKept(former, at: places.indices.contains(index) ? places[index] : nil)
      case .abandoned, .garbage, .orphaned, .unknown: return true
      }
    } else {
      guard let extent = try await engine.metadata.extent(id) else { return true }
      stores = extent.stores
    }
    return stores.indices.contains(index) && stores[index] != former.formerStore
  }
}
