public import Base
import Erasure
public import Metadata
public import ObjectEngine
public import Runtime
public import Sealing
public import Telemetry

/// Makes the metadata again out of the stores and the master key alone, in an empty database.
///
/// The newest snapshot that can be read, then the change log behind it in the order of its numbers;
/// then every chunk is compared with the result. What is only found in chunks goes to quarantine
/// and is never live. An interrupted rebuild is begun again with an empty database.
public struct MetadataRebuild: Sendable {
  /// The empty database, with this release's schema.
  public let target: SQLMetadataStore
  /// The stores that are there, and stand-ins for those that are not.
  public let stores: StoreSet
  private let master: MasterKey
  private let cluster: ClusterID
  private let pool: ThreadPool
  private let clock: any WallClock
  private let random: any RandomSource
  private let log: Log

  /// Prepares to make the metadata of the installation `cluster`.
  public init(
    target: SQLMetadataStore, stores: StoreSet, master: MasterKey, cluster: ClusterID,
    pool: ThreadPool, clock: any WallClock, random: any RandomSource, log: Log
  ) {
    self.target = target
    self.stores = stores
    self.master = master
    self.cluster = cluster
    self.pool = pool
    self.clock = clock
    self.random = random
    self.log = log.named("rebuild")
  }

  /// Does it; `progress` is told in words how far it is. Throws `RebuildError`, `MetadataError`.
  public func run(
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> RebuildReport {
    let ring = try await keyRing()
    try await target.beginRebuild()
    let first = engine(ring, epoch: 0)
    progress("listing the stores")
    let inventory = await withTaskExecutorPreference(pool) {
      await StoreInventory.take(stores.all)
    }
    var report = RebuildReport()
    report.unlistedStores = inventory.unlisted.count
    let reader = SnapshotReader(engine: first, inventory: inventory)
    let (snapshot, parts) = try await newest(reader, inventory, &report)
    progress("snapshot \(snapshot.number): putting its rows")
    var newer: [RowChange: Int64] = [:]
    try await reader.read(parts) { item in
      switch item {
      case .rows(let table, let rows):
        try await target.restore(table: table, rows)
        report.rows += rows.count
      case .mark(let number, let rows):
        for row in rows { newer[row] = max(newer[row] ?? 0, number) }
      case .header, .end: break
      }
    }
    progress("reading the change log")
    try await replay(snapshot, newer, first, inventory, &report)
    let lease = try await settle(snapshot, parts, ring, reader, inventory, report.position)
    progress("comparing the stores with the metadata")
    let second = engine(ring, epoch: lease.epoch)
    let reconciler = Reconciler(engine: second, metadata: target, log: log)
    report.reconciliation = try await reconciler.run(progress: progress)
    try await target.endWriter()
    return report
  }

  // MARK: Keys

  /// The keys that the stores have and the master key opens.
  private func keyRing() async throws -> KeyRing {
    var opened: [UInt32: WrappedKeyEncryptionKey] = [:]
    var seen = false
    for store in stores.all {
      let record = await withTaskExecutorPreference(pool) { await KeyRecord.read(from: store) }
      guard let record, record.cluster == cluster else { continue }
      for key in record.keys where opened[key.number] == nil {
        seen = true
        guard
          let wrapped = try? WrappedKeyEncryptionKey(number: key.number, bytes: key.wrapped),
          (try? KeyRing(cluster: cluster, master: master, wrapped: [wrapped])) != nil
        else { continue }
        opened[key.number] = wrapped
      }
    }
    guard seen else { throw RebuildError.noKeys }
    guard !opened.isEmpty else { throw RebuildError.wrongMasterKey }
    return try KeyRing(cluster: cluster, master: master, wrapped: Array(opened.values))
  }

  private func engine(_ ring: KeyRing, epoch: UInt64) -> ObjectEngine {
    ObjectEngine(
      configuration: EngineConfiguration(scheme: .standard), metadata: target, stores: stores,
      keys: ring, buffers: BufferPool(limit: 64 << 20, cacheLimit: 8 << 20), pool: pool,
      writer: WriterIdentity(epoch: epoch, random: random), clusterID: cluster, clock: clock,
      random: random, log: log)
  }

  // MARK: Snapshot and log

  /// The newest snapshot of which everything can be read.
  private func newest(
    _ reader: SnapshotReader, _ inventory: StoreInventory, _ report: inout RebuildReport
  ) async throws -> (StoredSnapshot, [Extent]) {
    var reason = "there is none"
    var passed = 0
    for number in inventory.snapshots.keys.sorted(by: >) {
      do {
        let found = try await reader.assemble(number)
        try await reader.read(found.parts) { _ in }
        report.snapshot = number
        report.snapshotTime = found.snapshot.started
        return found
      } catch {
        report.unreadableSnapshots.append(number)
        reason = "\(error)"
        // Of a log, only what the two newest snapshots need is kept: an older one would bring back
        // what was deleted since.
        if await reader.hasEnd(number) { passed += 1 }
        guard passed < 2 else { throw RebuildError.noSnapshot("\(reason), nor the one before it") }
        log.warning(
          "a snapshot cannot be read", [("number", "\(number)"), ("error", "\(error)")])
      }
    }
    throw RebuildError.noSnapshot(reason)
  }

  private func replay(
    _ snapshot: StoredSnapshot, _ newer: [RowChange: Int64], _ engine: ObjectEngine,
    _ inventory: StoreInventory, _ report: inout RebuildReport
  ) async throws {
    var position = snapshot.floor
    if !snapshot.log.isEmpty {
      let reader = LogReader(engine: engine, inventory: inventory, log: snapshot.log)
      let losses = try await reader.read(after: snapshot.floor) { records in
        try await target.stage(records)
        position = records.reduce(position) { max($0, $1.number) }
      }
      report.unreadablePieces = losses.pieces
      report.tornGroups = losses.groups
    }
    report.transactions = try await target.applyStaged(after: snapshot.floor, newer: newer)
    report.position = position
  }

  /// What is not in rows: totals, numbers, keys, the snapshots themselves.
  private func settle(
    _ snapshot: StoredSnapshot, _ parts: [Extent], _ ring: KeyRing, _ reader: SnapshotReader,
    _ inventory: StoreInventory, _ position: Int64
  ) async throws -> WriterLease {
    let epoch = try await target.finishRebuild(floor: position)
    // Writers of which nothing is left but their epoch, or not even that: the next ones begin above.
    let lease = try await target.beginWriter(
      minimum: max(epoch, inventory.highestEpoch) + WriterWitness.timelineGap,
      ringVersion: stores.ringVersion)
    let check = master.checkValue(cluster: cluster)
    let stored = try await target.encryptionKeys()
    if stored.contains(where: { $0.masterCheck != check }) {
      let created = Dictionary(
        stored.map { ($0.number, $0.created) }, uniquingKeysWith: { first, _ in first })
      try await target.replaceEncryptionKeys(
        ring.wrapped(under: master, random: random.bytes).map {
          StoredEncryptionKey(
            number: $0.number, wrapped: $0.bytes, masterCheck: check,
            created: created[$0.number] ?? clock.now)
        }, expected: stored.map(\.number))
    }
    try await target.setChangeLogID([])
    try await target.setSetting("restored", [1])
    let completed = await withTaskExecutorPreference(pool) { try? await reader.completed(parts) }
    try await target.adoptSnapshot(snapshot, parts: completed ?? parts)
    for number in inventory.snapshots.keys.sorted() where number != snapshot.number {
      let other = await withTaskExecutorPreference(pool) { () -> (StoredSnapshot, [Extent])? in
        guard let found = try? await reader.assemble(number),
          let parts = try? await reader.completed(found.parts)
        else { return nil }
        return (found.snapshot, parts)
      }
      // Where too little is left, most often of one that was being deleted, rows would only have it
      // repaired in vain.
      if let other { try await target.adoptSnapshot(other.0, parts: other.1) }
    }
    try await target.removeUnnamedParts()
    return lease
  }
}
