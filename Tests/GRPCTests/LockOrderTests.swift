import GRPC
import Glibc
import Testing

/// A lock of the library's own, by its functions' names.
private struct LibraryMutex: @unchecked Sendable {
  private typealias Call = @convention(c) (UnsafeMutableRawPointer) -> Void

  /// All zero when nobody holds it.
  private let word = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
  private let lockCall: Call
  private let unlockCall: Call

  /// Nil where the library was built in another way.
  init?() {
    guard let lock = dlsym(nil, "_ZN4absl7debian35Mutex4LockEv"),
      let unlock = dlsym(nil, "_ZN4absl7debian35Mutex6UnlockEv")
    else { return nil }
    word.initializeMemory(as: UInt8.self, repeating: 0, count: 16)
    lockCall = unsafeBitCast(lock, to: Call.self)
    unlockCall = unsafeBitCast(unlock, to: Call.self)
  }

  func withLock(_ body: () -> Void) {
    lockCall(word)
    body()
    unlockCall(word)
  }
}

@Suite struct LockOrderTests {
  private static let isDebian = LibraryMutex() != nil

  /// Takes two locks in either order, one after the other: nobody waits.
  private static func takeBothWays() {
    guard let one = LibraryMutex(), let two = LibraryMutex() else { return }
    one.withLock { two.withLock {} }
    two.withLock { one.withLock {} }
  }

  @Test("two locks of the library that were taken in both orders end no process")
  func bothWays() async {
    await #expect(processExitsWith: .success) {
      let queue = CompletionQueue(threadCount: 1)
      LockOrderTests.takeBothWays()
      withExtendedLifetime(queue) {}
    }
  }

  @Test("without the library at work they do", .enabled(if: isDebian))
  func unprepared() async {
    await #expect(processExitsWith: .failure) { LockOrderTests.takeBothWays() }
  }
}
