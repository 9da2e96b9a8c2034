internal import Base
internal import Disk
internal import Runtime
internal import Synchronization
internal import Telemetry

/// The small chunks of a store: records in append-only volumes, and an index of them in memory.
///
/// Each change is a record; a batch of records is one write and one sync. What the volumes say in
/// their order is the truth: the index follows it, and a checkpoint of it only saves reading them.
///
/// For every chunk record in an existing volume that is not live there is a delete record that
/// names its place: what replaces, moves or deletes a chunk writes it in the same batch. A delete
/// record is dropped only when the volume it names is gone for good. So no order in which volumes
/// go or records become holes brings a deleted chunk back.
final class VolumeLog: Sendable {
  /// One volume.
  struct Volume: Sendable {
    /// Where its records end, a multiple of 4 KiB.
    var end: Int
    /// Bytes of live chunk records.
    var live = 0
    /// Where the last batch begins, nil when it is not known.
    var lastBatch: Int?
    /// Records below it are in a batch that another one follows. The last batch is proved by its
    /// own bytes when the volume is read again: no holes are made in it.
    var settledEnd: Int { lastBatch ?? max(0, end - VolumeLog.maximumBatchLength) }
    /// Whether compaction has found a record in it that it can neither read nor drop.
    var isPinned = false
  }

  /// The volume that is being written to.
  struct Writer: Sendable {
    var number: UInt32
    var handle: any FileHandle
    var end: Int
    /// Whether nothing in it is known to be durable, its name included.
    var isNew = false
    /// Whether a failed write may have left something behind its end.
    var isDirty = false
  }

  /// Dead records that one step of housekeeping makes holes of.
  static let holesPerStep = 64
  /// No batch is longer.
  static let maximumBatchLength =
    LocalChunkStoreOptions.maximumBatchSize + 4 * RecordHeader.maximumRecordLength

  struct State: Sendable {
    var index = ChunkIndex()
    var volumes: [UInt32: Volume] = [:]
    var writer: Writer?
    /// The number of the next volume: none is used twice.
    var nextVolume: UInt32 = 1
    var nextBatch: UInt64 = 1
    /// Bytes appended since the last checkpoint.
    var unsavedBytes = 0
    var checkpointLength = 0
    /// Bytes of records that died since compaction last looked for work.
    var freedBytes = 0
    /// What becomes holes.
    var dead = DeadRanges()
    /// The number of the next batch when housekeeping looked last.
    var nextBatchSeen: UInt64 = 0
    /// Where compaction goes on.
    var compaction: RecordLocation?
    /// Delete records that a torn batch has left out: the next batches write them.
    var owed: [LogItem.Owed] = []
    /// Kept from batch to batch; only the one that flushes touches it.
    var buffer: AlignedBuffer?
  }

  let store: StoreID
  let guardian: StoreGuard
  let options: LocalChunkStoreOptions
  let log: Log
  let handles: VolumeHandles
  let state = Mutex(State())
  let bell = MaintenanceBell()

  private let commits: GroupCommit<LogItem, LogItem.Outcome>

  var fileSystem: any FileSystem { guardian.fileSystem }
  var layout: StoreLayout { guardian.layout }

  init(store: StoreID, guardian: StoreGuard, options: LocalChunkStoreOptions, log: Log) {
    self.store = store
    self.guardian = guardian
    self.options = options
    self.log = log
    handles = VolumeHandles(
      fileSystem: guardian.fileSystem, layout: guardian.layout, limit: options.openVolumes)
    let batchSize = options.batchSize
    commits = GroupCommit(clock: options.clock) { Self.prefix($0, limit: batchSize) }
  }

  /// Lets one piece of housekeeping at a time through.
  let maintenance = Turnstile()

  /// The number of chunks.
  var count: Int { state.withLock { $0.index.count } }

  /// Whether a failed write may have left records behind that the index does not know.
  var isDirty: Bool { state.withLock { $0.writer?.isDirty == true } }

  /// The record of a chunk, nil when there is none.
  func entry(_ id: ChunkID) -> ChunkIndex.Entry? {
    state.withLock { $0.index[id] }
  }

  /// Returns when the item is durable and the index follows it.
  func submit(_ item: LogItem) async throws(ChunkStoreError) -> LogItem.Outcome {
    try await commits.submit(item) { flush($0) }
  }

  /// How many of the waiting items fit one batch. A chunk appears at most once in a batch: what
  /// an item does is decided by the index before the batch.
  private static func prefix(_ items: [LogItem], limit: Int) -> Int {
    var length = 0
    var seen = Set<ChunkID>()
    for (index, item) in items.enumerated() {
      length += item.maximumLength
      if length > limit { return index }
      for id in item.ids where !seen.insert(id).inserted { return index }
    }
    return items.count
  }
}
