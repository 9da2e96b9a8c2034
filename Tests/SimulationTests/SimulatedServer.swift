import Base
import ChunkStore
import Disk
import Runtime
import Synchronization
import TestSupport

/// A storage server with one store on a disk of its own: the product's code over a lossy disk.
///
/// Confined to the thread of the simulation.
final class SimulatedServer: @unchecked Sendable {
  /// One life of the process.
  final class Life: Sendable {
    let store: LocalChunkStore
    let process = SimulatedProcess()

    init(_ store: LocalChunkStore) { self.store = store }
  }

  static let capacity = 1 << 34
  static let directory = "/store"

  let id: StoreID
  let serverID: ServerID
  let address: String
  let cluster: ClusterID
  private(set) var disk: LossyFileSystem
  private(set) var life: Life?
  /// It never comes back.
  var isGone = false
  /// Answers take so much longer.
  var slowness: Duration = .zero { didSet { wasHarmed = true } }
  /// Something has ever gone wrong with it, its machine or its disk.
  var wasHarmed = false
  private let clock: SimulatedClock

  init(
    id: StoreID, cluster: ClusterID, clock: SimulatedClock, ignoredSyncs: Set<DiskPath.Kind> = []
  ) throws {
    self.id = id
    serverID = ServerID(high: 0x5e, low: id.low)
    address = "server-\(id.low):1"
    self.cluster = cluster
    self.clock = clock
    disk = LossyFileSystem(capacity: Self.capacity, ignoresSync: { ignoredSyncs.contains($0.kind) })
    try LocalChunkStore.create(
      directory: Self.directory, fileSystem: disk, cluster: cluster, store: id)
    start()
  }

  /// Opens the store; it stays down when that fails.
  func start() {
    guard life == nil, !isGone else { return }
    var options = LocalChunkStoreOptions()
    options.reserveFraction = 0
    options.reserveBytes = 1 << 20
    options.volumeSize = 1 << 20
    options.checkpointInterval = 256 << 10
    options.clock = clock
    do {
      life = Life(
        try LocalChunkStore.open(
          directory: Self.directory, fileSystem: disk, cluster: cluster, store: id,
          options: options))
    } catch {
      life = nil
    }
  }

  /// Ends the process; with `power` the machine as well, and what was not synced is lost in part.
  func crash(power: SeededRandom?) {
    guard let ended = life else { return }
    life = nil
    wasHarmed = true
    ended.process.kill()
    let old = disk
    disk = power.map { old.afterPowerCut($0) } ?? old.afterCrash()
    disk.setCapacity(Self.capacity)
    // What the dead process still does comes to nothing.
    old.cutPower(afterChanges: 0)
  }

  /// A store that is there, without the network: for checks.
  func requireStore() throws -> LocalChunkStore {
    guard let life else { throw ChunkStoreError.offline("the server is down") }
    return life.store
  }
}
