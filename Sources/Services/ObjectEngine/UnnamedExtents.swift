import Base
import Metadata
import Synchronization

/// Extents of this process that may be named by nothing, and of which no tombstone is recorded yet.
///
/// Lost with the process: then its epoch is fenced, and what is unnamed is swept.
final class UnnamedExtents: Sendable {
  /// The most that are kept.
  static let limit = 16_384

  private let waiting = Mutex<[(id: ExtentID, stores: [StoreID])]>([])

  /// Adds the first of `extents` behind the others, as long as there is room; how many.
  func add(_ extents: [(id: ExtentID, stores: [StoreID])]) -> Int {
    waiting.withLock { waiting in
      let taken = extents.prefix(Self.limit - waiting.count)
      waiting += taken
      return taken.count
    }
  }

  /// Whether there are none.
  var isEmpty: Bool { waiting.withLock { $0.isEmpty } }

  /// At most the first `count`.
  func first(_ count: Int) -> [(id: ExtentID, stores: [StoreID])] {
    waiting.withLock { Array($0.prefix(count)) }
  }

  /// Forgets the first `count`, which must be there.
  func removeFirst(_ count: Int) { waiting.withLock { $0.removeFirst(count) } }
}
