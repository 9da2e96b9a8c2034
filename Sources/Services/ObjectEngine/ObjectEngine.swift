public import Base
import Erasure
public import Metadata
public import Runtime
public import Sealing
public import Telemetry

/// Objects over metadata and chunk stores: sealed, coded, placed and committed.
///
/// All its functions may be called from any task. Work that blocks or computes for long moves to
/// its thread pool; sources and sinks of content are called where the caller runs.
public final class ObjectEngine: Sendable {
  /// What an operator may change.
  public let configuration: EngineConfiguration
  /// Everything but the bytes.
  public let metadata: any MetadataStore
  /// Where chunks go.
  public let stores: StoreSet
  /// The keys that extent keys are wrapped with.
  public let keys: KeyRing
  /// The budget of all transfers.
  public let buffers: BufferPool
  /// The budget of what copies read, beside that of all transfers.
  let copyBuffers: BufferPool
  /// Threads for what blocks.
  public let pool: ThreadPool
  /// Names what this process writes.
  public let writer: WriterIdentity
  /// The reads that run.
  public let reads = ReadTracker()
  /// The writes that run, so that it is known when those placed by a former ring have ended.
  public let writes = ReadTracker()
  /// What failed writes left and no tombstone names yet.
  let unnamed = UnnamedExtents()
  /// How fast chunks are read, and what was read in addition because some were slow.
  public let pace: ReadPace
  /// The installation.
  public let clusterID: ClusterID
  /// Where extents of versions are kept for all gateways; nil for nowhere.
  let extentCache: ExtentCache?
  /// The time of day.
  public let clock: any WallClock
  let random: any RandomSource
  let log: Log

  /// Puts an engine together.
  public init(
    configuration: EngineConfiguration, metadata: any MetadataStore, stores: StoreSet,
    keys: KeyRing, buffers: BufferPool, pool: ThreadPool, writer: WriterIdentity,
    clusterID: ClusterID, clock: any WallClock, random: any RandomSource, log: Log,
    extentCache: ExtentCache? = nil
  ) {
    self.extentCache = extentCache
    self.configuration = configuration
    self.metadata = metadata
    self.stores = stores
    self.keys = keys
    self.buffers = buffers
    copyBuffers = BufferPool(limit: max(buffers.limit / 8, 16 << 20), cacheLimit: 0)
    self.pool = pool
    pace = ReadPace(configuration.faults)
    self.writer = writer
    self.clusterID = clusterID
    self.clock = clock
    self.random = random
    self.log = log.named("engine")
  }
}
