import Base
import Metadata
import Synchronization

/// What is known of access keys, for as long as nothing about users changes.
///
/// Entries count for one generation of the identities; the generation is asked for at most once a
/// second, so that a revoked key is refused within two.
final class CredentialCache: Sendable {
  struct Entry: Sendable {
    var key: AccessKey
    var user: User
    var secret: String
  }

  private struct State {
    var entries: [String: Entry] = [:]
    var generation: Int64 = -1
    var checked: UInt64 = 0
  }

  private static let capacity = 4096
  private static let checkNanoseconds: UInt64 = 1_000_000_000
  private let state = Mutex(State())

  /// The entry of a key; nil when it is not known or may be out of date.
  func entry(_ id: String, now: UInt64) -> Entry? {
    state.withLock { state in
      guard state.checked != 0, now &- state.checked < Self.checkNanoseconds else { return nil }
      return state.entries[id]
    }
  }

  /// Whether the generation has to be asked for.
  func isStale(now: UInt64) -> Bool {
    state.withLock { $0.checked == 0 || now &- $0.checked >= Self.checkNanoseconds }
  }

  /// Takes note of the generation at `now`: another one makes all entries void.
  func note(generation: Int64, now: UInt64) {
    state.withLock { state in
      if state.generation != generation { state.entries = [:] }
      state.generation = generation
      state.checked = max(now, 1)
    }
  }

  /// Keeps an entry that was read in `generation`.
  func insert(_ entry: Entry, generation: Int64) {
    state.withLock { state in
      guard state.generation == generation else { return }
      if state.entries.count >= Self.capacity { state.entries = [:] }
      state.entries[entry.key.id] = entry
    }
  }

  /// The generation that entries belong to.
  var generation: Int64 { state.withLock { $0.generation } }

  /// Forgets everything: identities were changed here.
  func invalidate() {
    state.withLock { $0 = State() }
  }
}
