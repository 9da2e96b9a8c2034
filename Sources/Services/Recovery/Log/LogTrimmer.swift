import Base
import ChunkStore
import Metadata
import ObjectEngine

/// Deletes pieces of the log that two complete snapshots make needless, and chunks of snapshots
/// that were given up: under the lease of the work, where several processes share it.
struct LogTrimmer: Sendable {
  /// Chunks that one call deletes.
  private static let batch = 512

  let engine: ObjectEngine
  let metadata: SQLMetadataStore
  let configuration: RecoveryConfiguration

  /// The snapshots that decide what is needless.
  func kept() async throws -> [StoredSnapshot] {
    try await metadata.snapshots().filter(\.isComplete).suffix(max(2, configuration.keptSnapshots))
  }

  /// The number up to which the kept snapshots make the log needless; nil while there are too few.
  func floor() async throws -> Int64? {
    let kept = try await kept()
    return kept.count >= 2 ? kept.map(\.floor).min() : nil
  }

  /// Deletes what is needless in the stores that answer. Returns how many chunks.
  @discardableResult
  func trim() async throws -> Int {
    let kept = try await kept()
    guard kept.count >= 2, let oldest = kept.first else { return 0 }
    let floor = kept.reduce(oldest.floor) { min($0, $1.floor) }
    return await withTaskExecutorPreference(engine.pool) {
      var count = 0
      for store in engine.stores.all {
        // A store that fails keeps what it has until the next time.
        count += (try? await trim(store, floor: floor, oldest: oldest.number)) ?? 0
      }
      return count
    }
  }

  @concurrent
  private func trim(_ store: any ChunkStore, floor: Int64, oldest: UInt32) async throws -> Int {
    var position: ChunkListPosition?
    var needless: [ChunkID] = []
    var count = 0
    repeat {
      let page = try await store.list(from: position, limit: StoreInventory.pageSize)
      var suspects: [ChunkID] = []
      for chunk in page.chunks {
        switch SystemExtentID(chunk.extent) {
        case .changeLog(let last): if last <= floor { needless.append(chunk) }
        case .snapshot(let number, _): if number < oldest { suspects.append(chunk) }
        case .keys, nil: break
        }
      }
      if !suspects.isEmpty {
        let named = try await metadata.named(among: Array(Set(suspects.map(\.extent))))
        needless += suspects.filter { !named.contains($0.extent) }
      }
      while needless.count >= Self.batch || page.next == nil && !needless.isEmpty {
        let batch = Array(needless.prefix(Self.batch))
        try await store.deleteLed(batch)
        needless.removeFirst(batch.count)
        count += batch.count
      }
      position = page.next
    } while position != nil
    return count
  }
}
