import Base
import Metadata
import Synchronization

/// The rows of a store by table, as a snapshot has them.
func snapshotRows(
  _ store: SQLMetadataStore, floor: Int64
) async throws -> [(UInt8, [[SQLValue]])] {
  let items = Mutex<[(UInt8, [[SQLValue]])]>([])
  try await store.dump(cluster: ClusterID(high: 0, low: 0), log: [], floor: floor) { item in
    if case .rows(let table, let list) = item { items.withLock { $0.append((table, list)) } }
  }
  return items.withLock { $0 }
}
