public import ChunkStore
public import ObjectEngine
import Synchronization

/// A store that gathers what little lives in its sparse volumes.
public protocol Compacting: Sendable {
  /// Looks at a bounded part of a sparse volume; returns false when there is none.
  func compactStep() async throws(ChunkStoreError) -> Bool
}

extension LocalChunkStore: Compacting {}
extension ReturningChunkStore: Compacting {}

/// Compacts the stores that can be, one bounded step of one store at a time.
public final class StoreCompactor: BackgroundWorker {
  /// `compaction`.
  public let name = "compaction"
  /// The part of the time that it works.
  public let dutyCycle: Double
  private let stores: [any Compacting]
  private let interval: Duration
  private let next = Mutex(0)
  private let count = ProgressCell()

  /// Compacts those of `stores` that offer it.
  public init(
    stores: StoreSet, interval: Duration = .seconds(300), dutyCycle: Double = 0.2
  ) {
    self.stores = stores.all.compactMap { $0 as? any Compacting }
    self.interval = interval
    self.dutyCycle = dutyCycle
  }

  /// Items are steps that found something to do.
  public var progress: WorkerProgress { count.value }

  /// Compacts a little of the first store that needs it. A store that takes no writes is passed.
  public func step() async throws -> StepOutcome {
    let first = next.withLock { $0 }
    for offset in 0..<stores.count {
      let index = (first + offset) % stores.count
      do throws(ChunkStoreError) {
        guard try await stores[index].compactStep() else { continue }
      } catch {
        switch error {
        case .offline, .fenced, .full: continue
        case .missing, .corrupt, .tooLarge, .io: throw error
        }
      }
      next.withLock { $0 = index }
      count.add(1)
      return .throttled
    }
    return .idle(nextAfter: interval)
  }
}
