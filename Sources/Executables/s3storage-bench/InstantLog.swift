import Metadata
import Synchronization

/// A change log that takes everything at once: what is left is what it costs in the database.
final class InstantLog: ChangeSink {
  private let state = Mutex((logged: Set<Int64>(), unforgotten: [Int64]()))

  var hasStores: Bool { true }

  func isLogged(_ number: Int64) -> Bool { state.withLock { $0.logged.contains(number) } }

  func append(_ record: ChangeRecord) async throws {
    state.withLock { state in
      if state.logged.insert(record.number).inserted { state.unforgotten.append(record.number) }
    }
  }

  /// Numbers whose marks can be forgotten, each once.
  func takeLogged() -> [Int64] {
    state.withLock { state in
      defer { state.unforgotten = [] }
      return state.unforgotten
    }
  }
}
