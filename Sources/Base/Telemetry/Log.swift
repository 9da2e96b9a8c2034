import Base
import Glibc
import Synchronization

/// Structured logging: one JSON object a line on standard error.
///
/// Messages are constant texts; what varies goes into fields. No secret, key or signature is ever
/// a field.
public struct Log: Sendable {
  /// How much a line matters.
  public enum Level: Int, Sendable, Comparable, CaseIterable {
    /// For developers.
    case debug
    /// The normal course of things.
    case info
    /// Something an operator should know.
    case warning
    /// Something failed.
    case error
    /// The process cannot go on.
    case fatal

    /// Less important is less.
    public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

    /// The name in lower case.
    public var name: String {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .warning: "warning"
      case .error: "error"
      case .fatal: "fatal"
      }
    }
  }

  /// Takes finished lines; called from any thread.
  public typealias Sink = @Sendable (String) -> Void

  /// Lines below it are dropped.
  public let minimum: Level
  private let component: String
  private let sink: Sink

  /// Logs lines of `component` from `minimum` on into `sink`.
  public init(
    component: String, minimum: Level = .info, sink: @escaping Sink = Log.standardError
  ) {
    self.component = component
    self.minimum = minimum
    self.sink = sink
  }

  /// The same log under another component's name.
  public func named(_ component: String) -> Log {
    Log(component: component, minimum: minimum, sink: sink)
  }

  /// A log that drops everything.
  public static let none = Log(component: "none", minimum: .fatal, sink: { _ in })

  /// Writes a line to standard error in one call.
  public static let standardError: Sink = { line in
    var text = line
    text.append("\n")
    text.withUTF8 { bytes in
      guard let base = bytes.baseAddress else { return }
      _ = unsafe write(2, base, bytes.count)
    }
  }

  /// Logs `message` with `fields`, which are not evaluated when the level is off.
  public func log(
    _ level: Level, _ message: StaticString,
    _ fields: @autoclosure () -> [(name: String, value: String)] = []
  ) {
    guard level >= minimum else { return }
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    let now = Timestamp(
      milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    var line = "{\"time\":\"\(now.iso8601)\",\"level\":\"\(level.name)\",\"component\":"
    line += JSONText.quote(component) + ",\"message\":" + JSONText.quote("\(message)")
    for (name, value) in fields() {
      line += "," + JSONText.quote(name) + ":" + JSONText.quote(value)
    }
    sink(line + "}")
  }

  /// Logs at `debug`.
  public func debug(
    _ message: StaticString, _ fields: @autoclosure () -> [(name: String, value: String)] = []
  ) { log(.debug, message, fields()) }

  /// Logs at `info`.
  public func info(
    _ message: StaticString, _ fields: @autoclosure () -> [(name: String, value: String)] = []
  ) { log(.info, message, fields()) }

  /// Logs at `warning`.
  public func warning(
    _ message: StaticString, _ fields: @autoclosure () -> [(name: String, value: String)] = []
  ) { log(.warning, message, fields()) }

  /// Logs at `error`.
  public func error(
    _ message: StaticString, _ fields: @autoclosure () -> [(name: String, value: String)] = []
  ) { log(.error, message, fields()) }
}
