import ChunkStore

/// A stamp that does not change.
struct FixedStamp: CallStamping {
  var stamp: CallStamp
  var timeLeft: Duration = .seconds(3600)

  init(_ fence: UInt64, _ attempt: UInt64 = 0, timeLeft: Duration = .seconds(3600)) {
    stamp = CallStamp(fence: fence, attempt: attempt)
    self.timeLeft = timeLeft
  }

  func with(_ body: () async throws -> Void) async throws {
    try await ChunkCallPolicy.$stamping.withValue(self) { try await body() }
  }

  /// What `body` throws under this stamp.
  func failure(_ body: () async throws -> Void) async -> ChunkStoreError? {
    do {
      try await with(body)
      return nil
    } catch {
      return error as? ChunkStoreError ?? .io("\(error)")
    }
  }
}
