import Base
import ChunkStore
import Erasure
public import Metadata
public import ObjectEngine
import Runtime
import Sealing
public import Telemetry

/// Compares every chunk in the stores with the metadata, and the metadata with the chunks.
///
/// A chunk that lies elsewhere than its row says, and is not where it should be, is found again;
/// chunks that are gone are queued for repair; extents that nothing names go to quarantine. Nothing
/// is deleted. It may run while requests are served, and again from the start after a failure.
public struct Reconciler: Sendable {
  /// The setting that holds the sweep while it is not a single zero (`DeletionHold.setting`).
  static let holdSetting = "hold_sweep"

  let engine: ObjectEngine
  let metadata: SQLMetadataStore
  let log: Log

  /// Reconciles the stores of `engine` with its metadata.
  public init(engine: ObjectEngine, metadata: SQLMetadataStore, log: Log) {
    self.engine = engine
    self.metadata = metadata
    self.log = log.named("reconcile")
  }

  /// Does all of it; with all stores in sight the hold on the sweep is lifted at the end.
  public func run(
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> ReconcileReport {
    let isHeld = try await metadata.setting(Self.holdSetting) ?? [0] != [0]
    let unswept = Set(try await metadata.unsweptEpochs())
    var walk = Walk(
      own: engine.writer.epoch, live: try await metadata.liveEpochs(),
      // Unnamed chunks of a fenced writer are garbage, unless the metadata may have forgotten them.
      garbage: isHeld ? [] : unswept)
    for (index, store) in engine.stores.all.enumerated() {
      progress("store \(index + 1) of \(engine.stores.all.count)")
      do throws(ChunkStoreError) {
        try await walkStore(store, &walk)
      } catch {
        if case .io(let reason) = error, reason.hasPrefix(Self.metadataFailure) {
          throw MetadataError.unavailable(reason)
        }
        walk.report.absentStores += 1
        log.warning(
          "a store cannot be reconciled", [("store", "\(store.id)"), ("error", "\(error)")])
      }
    }
    progress("looking for chunks that are gone")
    try await findMissing(&walk)
    if walk.report.isComplete, isHeld {
      for epoch in unswept { try await metadata.markSwept(epoch: epoch) }
      try await metadata.setSetting(Self.holdSetting, [0])
    }
    return walk.report
  }

  private static let metadataFailure = "metadata: "

  private struct Walk {
    let own: UInt64
    let live: Set<UInt64>
    let garbage: Set<UInt64>
    var report = ReconcileReport()
    var quarantined: Set<ExtentID> = []
  }

  // MARK: From the stores to the metadata

  @concurrent
  private func walkStore(
    _ store: any ChunkStore, _ walk: inout Walk
  ) async throws(ChunkStoreError) {
    var position: ChunkListPosition?
    repeat {
      let page = try await store.list(from: position, limit: 512)
      walk.report.chunks += page.chunks.count
      let chunks = page.chunks.filter { !SystemExtentID.isReserved($0.extent) }
      do {
        try await compare(chunks, at: store, &walk)
      } catch {
        throw .io(Self.metadataFailure + "\(error)")
      }
      position = page.next
    } while position != nil
  }

  private func compare(
    _ chunks: [ChunkID], at store: any ChunkStore, _ walk: inout Walk
  ) async throws {
    let ids = Array(Set(chunks.map(\.extent)))
    guard !ids.isEmpty else { return }
    let rows = Dictionary(
      try await metadata.extents(named: ids).map { ($0.id, $0) },
      uniquingKeysWith: { first, _ in first })
    let strange = ids.filter { rows[$0] == nil }
    let named = try await metadata.named(among: strange)
    for chunk in chunks {
      let index = Int(chunk.index)
      if let row = rows[chunk.extent] {
        if index < row.stores.count, row.stores[index] != store.id {
          if try await place(chunk, at: store, row) { walk.report.moved += 1 }
        }
        continue
      }
      let epoch = chunk.extent.epoch
      // What a live writer has not committed yet is not named yet.
      if epoch >= walk.own || walk.live.contains(epoch) || walk.garbage.contains(epoch) { continue }
      if named.contains(chunk.extent) {
        // A tombstone, or in quarantine already.
        guard let item = try await metadata.quarantined(chunk.extent) else { continue }
        if try await isPlaced(chunk, at: store, item) { continue }
      }
      if try await quarantine(chunk, at: store), walk.quarantined.insert(chunk.extent).inserted {
        walk.report.quarantined += 1
      }
    }
  }

  /// Has the row of an extent name a chunk where it is, when it is the one that was written and not
  /// where the row says; whether it did.
  private func place(
    _ chunk: ChunkID, at store: any ChunkStore, _ listed: Extent
  ) async throws -> Bool {
    let index = Int(chunk.index)
    guard let row = try await metadata.extents(named: [listed.id]).first,
      row.stores.indices.contains(index), row.stores[index] != store.id,
      row.digests.indices.contains(index)
    else { return false }
    guard let owner = engine.stores[row.stores[index]] else {
      return try await record(chunk, at: store, row)
    }
    do throws(ChunkStoreError) {
      let there = try await owner.stat(chunk)
      // Where both have it, the one that is not named costs space only.
      if there.trailer.sha256 == row.digests[index] { return false }
    } catch {
      switch error {
      case .missing, .corrupt: break
      case .offline, .full, .fenced, .tooLarge, .io: return false
      }
    }
    return try await record(chunk, at: store, row)
  }

  private func record(
    _ chunk: ChunkID, at store: any ChunkStore, _ row: Extent
  ) async throws -> Bool {
    let index = Int(chunk.index)
    guard let status = try? await store.stat(chunk),
      status.trailer.sha256 == row.digests[index], (try? await store.verify(chunk)) != nil
    else { return false }
    var stores = row.stores
    stores[index] = store.id
    return try await metadata.finishRepair(
      row.id, chunks: 1 << UInt32(index), stores: stores, generation: row.generation)
  }

  /// Whether the record of the quarantine names a place for a chunk. It comes to name `store` where
  /// the one that it names does not have the chunk: never that of a copy which is about to go.
  private func isPlaced(
    _ chunk: ChunkID, at store: any ChunkStore, _ item: QuarantinedExtent
  ) async throws -> Bool {
    let index = Int(chunk.index)
    guard item.stores.indices.contains(index), let named = item.stores[index] else { return false }
    guard named != store.id else { return true }
    if let owner = engine.stores[named] {
      do throws(ChunkStoreError) {
        try await owner.verify(chunk)
        return true
      } catch {
        switch error {
        case .missing, .corrupt: break
        case .offline, .full, .fenced, .tooLarge, .io: return true
        }
      }
    }
    guard (try? await store.verify(chunk)) != nil else { return true }
    _ = try await metadata.moveQuarantined(
      item.id, chunk: chunk.index, from: named, to: store.id)
    return true
  }

  private func quarantine(_ chunk: ChunkID, at store: any ChunkStore) async throws -> Bool {
    guard let item = await engine.quarantineRecord(of: chunk, at: store) else { return false }
    return try await metadata.quarantine(item)
  }

  // MARK: From the metadata to the stores

  /// Queues chunks that their stores do not have. Stores that do not answer say nothing.
  private func findMissing(_ walk: inout Walk) async throws {
    var after: ExtentID?
    while true {
      let page = try await metadata.extents(after: after, limit: 64)
      guard let last = page.last else { return }
      after = last.id
      let found = await withTaskGroup(of: (Int, UInt32).self) { group in
        for (position, extent) in page.enumerated() {
          group.addTask(executorPreference: engine.pool) {
            (position, await missing(of: extent))
          }
        }
        return await group.reduce(into: [Int: UInt32]()) { $0[$1.0] = $1.1 }
      }
      walk.report.extents += page.count
      let bad = found.filter { $0.value != 0 }
      walk.report.missing += bad.values.reduce(0) { $0 + $1.nonzeroBitCount }
      try await metadata.queueRepairs(
        bad.map { (page[$0.key].id, $0.value) }, reason: "not found by a reconciliation")
    }
  }

  private func missing(of extent: Extent) async -> UInt32 {
    var bits: UInt32 = 0
    for (index, id) in extent.stores.enumerated() where index < 32 {
      guard let store = engine.stores[id], let number = UInt8(exactly: index) else { continue }
      do throws(ChunkStoreError) {
        let status = try await store.stat(ChunkID(extent: extent.id, index: number))
        if index < extent.digests.count, status.trailer.sha256 != extent.digests[index] {
          bits |= 1 << UInt32(index)
        }
      } catch {
        switch error {
        case .missing, .corrupt: bits |= 1 << UInt32(index)
        case .offline, .full, .fenced, .tooLarge, .io: break
        }
      }
    }
    return bits
  }
}
