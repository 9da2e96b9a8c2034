import Metadata
import Synchronization

/// Keeps what it is given.
final class MemorySink: ChangeSink {
  let records = Mutex<[ChangeRecord]>([])
  let isReady = Mutex(true)
  let isReached = Mutex(true)
  /// What it throws when it is out of reach.
  let failure = Mutex(MetadataError.unknownOutcome)
  /// How many records it takes from now on.
  let limit = Mutex(Int.max)

  var hasStores: Bool { isReady.withLock { $0 } }

  func isLogged(_ number: Int64) -> Bool {
    records.withLock { $0.contains { $0.number == number } }
  }

  func append(_ record: ChangeRecord) async throws {
    guard isReached.withLock({ $0 }) else { throw failure.withLock { $0 } }
    let isTaken = limit.withLock { limit in
      defer { limit = max(limit - 1, 0) }
      return limit > 0
    }
    guard isTaken else { throw MetadataError.unknownOutcome }
    records.withLock { $0.append(record) }
  }
}
