import Synchronization
import Telemetry
import Testing

@Suite("The log")
struct LogTests {
  final class Lines: Sendable {
    let all = Mutex<[String]>([])
  }

  @Test("a line is one JSON object with its fields escaped")
  func line() {
    let lines = Lines()
    let log = Log(component: "a", minimum: .info) { line in lines.all.withLock { $0.append(line) } }
    log.named("b").warning("something \"odd\"", [("key", "v\n\"")])
    let line = lines.all.withLock { $0.first ?? "" }
    #expect(line.hasPrefix("{\"time\":\""))
    #expect(
      line.hasSuffix(
        "\"level\":\"warning\",\"component\":\"b\",\"message\":\"something \\\"odd\\\"\","
          + "\"key\":\"v\\n\\\"\"}"))
  }

  @Test("fields of a line below the level are not even made")
  func level() {
    let lines = Lines()
    let log = Log(component: "a", minimum: .error) { line in lines.all.withLock { $0.append(line) }
    }
    func fields() -> [(name: String, value: String)] {
      Issue.record("fields were made")
      return []
    }
    log.info("quiet", fields())
    log.debug("quiet", fields())
    log.error("loud")
    #expect(lines.all.withLock { $0.count } == 1)
  }
}
