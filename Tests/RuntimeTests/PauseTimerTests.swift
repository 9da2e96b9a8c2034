import Runtime
import Testing

@Suite("Pauses")
struct PauseTimerTests {
  @Test("a short pause ends though a long one began before it, and none ends early")
  func order() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try? await PauseTimer.shared.pause(.seconds(3600)) }
      for index in 0..<200 {
        group.addTask {
          let length = Duration.milliseconds(index * 7919 % 200)
          let begin = MonotonicTime.nanoseconds
          try await PauseTimer.shared.pause(length)
          #expect(MonotonicTime.nanoseconds - begin >= UInt64(index * 7919 % 200) * 1_000_000)
        }
      }
      for _ in 0..<200 { try await group.next() }
      group.cancelAll()
    }
  }

  @Test("a pause is never shorter than it was asked for")
  func length() async throws {
    for milliseconds in [1, 7, 20] {
      let begin = MonotonicTime.nanoseconds
      try await PauseTimer.shared.pause(.milliseconds(milliseconds))
      #expect(MonotonicTime.nanoseconds - begin >= UInt64(milliseconds) * 1_000_000)
    }
    try await PauseTimer.shared.pause(.zero)
    try await PauseTimer.shared.pause(.seconds(-1))
  }

  @Test("a cancelled pause ends at once, before and after it began", arguments: [0, 1, 5000])
  func cancellation(count: Int) async {
    let begin = MonotonicTime.nanoseconds
    let failures = await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<max(count, 1) {
        group.addTask {
          do {
            try await PauseTimer.shared.pause(.seconds(3600))
            return false
          } catch {
            return error is CancellationError
          }
        }
      }
      if count > 0 { await Task.yield() }
      group.cancelAll()
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(failures == max(count, 1))
    #expect(MonotonicTime.nanoseconds - begin < 3600 * 1_000_000_000)
    // Those that are over do not keep the others from ending.
    await #expect(throws: Never.self) { try await PauseTimer.shared.pause(.milliseconds(1)) }
  }
}
