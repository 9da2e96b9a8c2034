import Glibc
import Runtime
import Testing

@Suite("Threads by name")
struct CurrentThreadTests {
  /// What the system calls the thread that runs.
  private static func name() -> String {
    var bytes = [UInt8](repeating: 0, count: 64)
    let file = open("/proc/thread-self/comm", O_RDONLY)
    defer { close(file) }
    let count = max(0, read(file, &bytes, bytes.count))
    return String(decoding: bytes[..<count].prefix { $0 != 0x0a }, as: UTF8.self)
  }

  @Test("a pool's threads carry its name", arguments: ["io", "a name that is too long"])
  func pool(name: String) async {
    let pool = ThreadPool(name: name, threadCount: 1)
    #expect(await pool.run { Self.name() } == String(name.prefix(15)))
  }
}
