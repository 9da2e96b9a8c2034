import Synchronization
import TestSupport

/// Has whoever writes a small chunk wait until so many do: work on one extent after the other never
/// comes to its end.
final class Meeting: Sendable {
  private let count = Mutex(0)
  private let cluster: TestCluster

  /// Writers that have come.
  var arrived: Int { count.withLock { $0 } }

  /// Holds the first `size` writers up until all of them are there, and calls `body` behind each.
  @discardableResult
  init(of size: Int, in cluster: TestCluster, then body: @escaping @Sendable () -> Void = {}) {
    self.cluster = cluster
    for server in cluster.servers {
      for store in server.stores {
        store.onPut.withLock {
          $0 = { [self] in
            count.withLock { $0 += 1 }
            try? await eventually { arrived >= size }
            body()
          }
        }
      }
    }
  }

  /// Nobody waits any more.
  func end() {
    for server in cluster.servers {
      for store in server.stores { store.onPut.withLock { $0 = nil } }
    }
  }
}
