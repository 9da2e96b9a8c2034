public import Base

/// What a process that writes holds while it lives.
public struct WriterLease: Hashable, Sendable {
  /// Begins its extent ids and version numbers; never given to another.
  public var epoch: UInt64

  /// Makes a lease of its fields.
  public init(epoch: UInt64) { self.epoch = epoch }
}

/// Writers and their epochs.
public protocol WriterStore: Sendable {
  /// Begins a writer with an epoch above all before it and above `minimum`. In an embedded
  /// database, which one process owns, all epochs before it are fenced by it.
  ///
  /// From then on this store's commits carry that epoch and fail with `fenced` once it is.
  func beginWriter(minimum: UInt64, ringVersion: Int64) async throws -> WriterLease

  /// Extends the lease and tells the oldest read that runs.
  func renewWriter(oldestRead: Timestamp?) async throws

  /// Ends the writer: nothing of it is unfinished, so nothing is to be swept.
  func endWriter() async throws

  /// Epochs that are fenced and whose unnamed chunks may still lie in the stores.
  func unsweptEpochs() async throws -> [UInt64]

  /// Records that the stores hold no unnamed chunk of an epoch any more.
  func markSwept(epoch: UInt64) async throws

  /// Those of the extents that a version, a part or a tombstone names.
  func named(among extents: [ExtentID]) async throws -> Set<ExtentID>
}

/// What scrub counted and what status shows.
public struct MetadataCounts: Hashable, Sendable {
  /// Current objects.
  public var objects: Int64
  /// Versions, delete markers included.
  public var versions: Int64
  /// Extents.
  public var extents: Int64
  /// Objects kept inline.
  public var inlineObjects: Int64
  /// Unfinished uploads.
  public var uploads: Int64
  /// Extents waiting to be deleted.
  public var tombstones: Int64
  /// Extents with chunks that are to be made again.
  public var repairs: Int64
  /// Extents that are whole and wait for stores over which to spread their chunks.
  public var underSpread: Int64
  /// Extents in quarantine: what a recovery found and no object has.
  public var quarantined: Int64
  /// Plaintext bytes of current objects.
  public var bytes: Int64

  /// Makes counts of its fields.
  public init(
    objects: Int64, versions: Int64, extents: Int64, inlineObjects: Int64, uploads: Int64,
    tombstones: Int64, repairs: Int64, underSpread: Int64, quarantined: Int64, bytes: Int64
  ) {
    self.objects = objects
    self.versions = versions
    self.extents = extents
    self.inlineObjects = inlineObjects
    self.uploads = uploads
    self.tombstones = tombstones
    self.repairs = repairs
    self.underSpread = underSpread
    self.quarantined = quarantined
    self.bytes = bytes
  }
}

/// What background workers need.
public protocol MaintenanceStore: Sendable {
  /// Tombstones made before `before`, oldest first.
  func tombstones(before: Timestamp, limit: Int) async throws -> [Tombstone]

  /// Records that the stores of some chunks have deleted them; a tombstone goes when all have.
  func confirm(_ confirmations: [(extent: ExtentID, chunks: UInt32)]) async throws

  /// Makes tombstones of extents that this writer made and that nothing names.
  func discard(_ extents: [(id: ExtentID, stores: [StoreID])]) async throws

  /// Commits of this process of which it is not known yet whether they took place, and which may be
  /// found out: those that threw `unknownOutcome` before this is read, and are not in it, are known.
  var unresolvedCount: Int { get }

  /// Queues chunks for repair; queueing twice is queueing once. When it throws, some may be queued.
  func queueRepairs(
    _ repairs: [(extent: ExtentID, chunks: UInt32)], reason: String
  ) async throws

  /// Items to repair, the extents with the fewest survivors first.
  func repairs(limit: Int) async throws -> [RepairItem]

  /// Records in one transaction that chunks lie where each repair says, provided its extent is
  /// still of that generation: false for those, of which nothing is changed, that are not.
  /// Precondition: each extent is there once.
  func finishRepairs(_ repairs: [FinishedRepair]) async throws -> [Bool]

  /// Records that a repair did not come about.
  func postponeRepair(_ extent: ExtentID, reason: String) async throws

  /// All extents by id behind `after`: what scrub walks along.
  func extents(after: ExtentID?, limit: Int) async throws -> [Extent]

  /// Extents of which a store holds more than one chunk, by id behind `after`.
  func underSpread(after: ExtentID?, limit: Int) async throws -> [Extent]

  /// Folds at most `limit` usage deltas into totals; how many there were.
  func foldUsage(limit: Int) async throws -> Int

  /// Counts for the operator.
  func counts() async throws -> MetadataCounts

  /// Uploads that were begun before `before`.
  func staleUploads(before: Timestamp, limit: Int) async throws -> [MultipartUpload]

  /// The time of the database.
  func now() async throws -> Timestamp

  /// Writes a consistent copy of the whole database to a new file at `path`, while running.
  func backup(to path: String) async throws
}

extension MaintenanceStore {
  /// Queues chunks of one extent for repair.
  public func queueRepair(_ extent: ExtentID, chunks: UInt32, reason: String) async throws {
    try await queueRepairs([(extent, chunks)], reason: reason)
  }

  /// Records the repair of one extent, which is spread as it should be; false, and nothing is
  /// changed, when it is not of `generation` any more.
  public func finishRepair(
    _ extent: ExtentID, chunks: UInt32, stores: [StoreID], generation: Int64
  ) async throws -> Bool {
    let repair = FinishedRepair(extent, chunks: chunks, stores: stores, generation: generation)
    return try await finishRepairs([repair]) == [true]
  }
}
