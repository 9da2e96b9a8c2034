import Synchronization

/// A worker's progress, written by its step and read by anyone.
final class ProgressCell: Sendable {
  private let state = Mutex(WorkerProgress())

  var value: WorkerProgress { state.withLock { $0 } }

  func add(_ items: Int, detail: String? = nil) {
    state.withLock { progress in
      progress.itemsDone += items
      if let detail { progress.detail = detail }
    }
  }
}
