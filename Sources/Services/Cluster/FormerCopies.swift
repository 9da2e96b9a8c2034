import Base
import ChunkStore
import Metadata
import ObjectEngine
import Synchronization

/// Chunks that lie where no row says that they do, until no read can need them there.
///
/// They are kept in memory only: those of a process that ends are found again by a walk over the
/// store that they lie in.
final class FormerCopies: Sendable {
  /// Copies that wait at most; beyond it no more chunks are moved.
  static let limit = 16_384

  private let repairer: ExtentRepairer
  private let horizon: ReadHorizon
  private let waiting = Mutex<[(copy: MovedChunk, mark: ReadHorizon.Mark)]>([])
  private let known = Mutex<Set<MovedChunk>>([])

  init(repairer: ExtentRepairer, horizon: ReadHorizon) {
    self.repairer = repairer
    self.horizon = horizon
  }

  var count: Int { waiting.withLock { $0.count } }

  /// Forgets all of them.
  func reset() {
    waiting.withLock { $0 = [] }
    known.withLock { $0 = [] }
  }

  /// Takes note of copies that rows name no more by now.
  func add(_ copies: [MovedChunk]) async throws {
    guard !copies.isEmpty else { return }
    let mark = try await horizon.mark()
    let new = known.withLock { known in copies.filter { known.insert($0).inserted } }
    waiting.withLock { $0 += new.map { ($0, mark) } }
  }

  /// Deletes those that no read needs; how many.
  @discardableResult
  func removeDue() async throws -> Int {
    guard count > 0 else { return 0 }
    let moment = try await horizon.moment()
    var removed = 0
    while let first = waiting.withLock({ $0.first }),
      horizon.hasPassed(first.mark, horizon: moment)
    {
      guard try await repairer.remove(first.copy) else { return removed }
      waiting.withLock { waiting in
        if waiting.first?.copy == first.copy { waiting.removeFirst() }
      }
      known.withLock { _ = $0.remove(first.copy) }
      removed += 1
    }
    return removed
  }
}
