internal import Base
internal import ChunkStore
internal import Runtime
internal import Synchronization

/// How the stores were when somebody last looked: looking takes a disk that answers.
final class HealthSampler: Sendable {
  private struct Sample {
    var health: StoreHealth
    var time: UInt64
  }

  /// A sample that is older says that the store does not answer.
  private static let lifetime: UInt64 = 15_000_000_000

  private let stores: [any ChunkStore]
  private let server: ServerID
  private let cluster: ClusterID
  private let version: String
  private let samples = Mutex<[StoreID: Sample]>([:])

  init(stores: [any ChunkStore], server: ServerID, cluster: ClusterID, version: String) {
    self.stores = stores
    self.server = server
    self.cluster = cluster
    self.version = version
  }

  /// Looks at all stores, one after the other.
  func sample() async {
    for store in stores { await sample(store) }
  }

  /// Looks at one store.
  func sample(_ store: any ChunkStore) async {
    let health = await store.health()
    let sample = Sample(health: health, time: MonotonicTime.nanoseconds)
    samples.withLock { $0[store.id] = sample }
  }

  /// The server with all its stores.
  var current: StorageServerHealth {
    let samples = samples.withLock { $0 }
    let now = MonotonicTime.nanoseconds
    return StorageServerHealth(
      server: server, cluster: cluster, version: version,
      stores: stores.map { store in
        if let sample = samples[store.id], now - min(sample.time, now) < Self.lifetime {
          return (store.id, sample.health)
        }
        return (
          store.id,
          StoreHealth(
            state: .offline, reason: "the store does not answer", capacity: 0, used: 0, free: 0,
            reserve: 0, chunkCount: 0)
        )
      })
  }
}
