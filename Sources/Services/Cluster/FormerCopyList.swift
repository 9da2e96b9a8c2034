import Base
import ChunkStore
import Metadata
import Synchronization

/// Former copies that wait to be deleted, oldest first, each once. Usable from any task.
final class FormerCopyList: Sendable {
  /// Copies at most that wait for their stores.
  static let postponedLimit = 4096

  private struct State {
    var copies: [(copy: MovedChunk, mark: ReadHorizon.Mark)] = []
    /// Those that no read needs and that their stores did not delete.
    var postponed: [MovedChunk] = []
    /// All of both.
    var known: Set<MovedChunk> = []
    /// Stores all of whose former copies are known.
    var walked: Set<StoreID> = []
    /// The lease under which they were noted.
    var fence: Int64?
  }

  private let state = Mutex(State())

  /// How many wait for reads to end.
  var count: Int { state.withLock { $0.copies.count } }

  /// Those that wait for their stores, the one tried last at the end.
  var postponed: [MovedChunk] { state.withLock { $0.postponed } }

  var first: (copy: MovedChunk, mark: ReadHorizon.Mark)? { state.withLock { $0.copies.first } }

  /// Forgets what was noted under another lease than that of the current task: another process may
  /// have moved chunks since.
  func beginTerm() {
    let fence = WorkLease.current?.fence
    state.withLock { state in
      if state.fence != fence { state = State(fence: fence) }
    }
  }

  /// Takes note that all former copies in a store are among these.
  func noteWalked(_ store: StoreID) { state.withLock { _ = $0.walked.insert(store) } }

  /// The stores that may have former copies which are not among these.
  func unwalked(of stores: [StoreID]) -> [StoreID] {
    let walked = state.withLock { $0.walked }
    return stores.filter { !walked.contains($0) }
  }

  /// Where former copies of chunks of these extents lie.
  func places(of extents: Set<ExtentID>) -> [ChunkID: [StoreID]] {
    state.withLock { state in
      state.known.lazy.filter { extents.contains($0.chunk.extent) }
        .reduce(into: [:]) { $0[$1.chunk, default: []].append($1.formerStore) }
    }
  }

  func contains(_ copy: MovedChunk) -> Bool { state.withLock { $0.known.contains(copy) } }

  /// Takes note of those that it does not have yet.
  func add(_ copies: [MovedChunk], _ mark: ReadHorizon.Mark) {
    state.withLock { state in
      for copy in copies where state.known.insert(copy).inserted {
        state.copies.append((copy, mark))
      }
    }
  }

  /// Takes note of one that no read needs and that its store does not delete now; whether there was
  /// room.
  func postpone(_ copy: MovedChunk) -> Bool {
    state.withLock { state in
      if state.known.contains(copy) { return true }
      guard state.postponed.count < Self.postponedLimit else { return false }
      state.known.insert(copy)
      state.postponed.append(copy)
      return true
    }
  }

  /// Forgets copies: they are gone, or belong where they are again.
  func remove(_ copies: Set<MovedChunk>) {
    state.withLock { state in
      guard !state.known.isDisjoint(with: copies) else { return }
      state.known.subtract(copies)
      if let first = state.copies.first?.copy, copies == [first] {
        state.copies.removeFirst()
      } else {
        state.copies.removeAll { copies.contains($0.copy) }
        state.postponed.removeAll { copies.contains($0) }
      }
    }
  }
}
