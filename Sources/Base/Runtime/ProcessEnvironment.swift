import CPlatform
import Glibc

/// What the process was given: variables and signals.
public enum ProcessEnvironment {
  /// A signal that ends or reloads the process.
  public enum Signal: Sendable {
    /// Stop, after what runs has ended (SIGTERM, SIGINT).
    case stop
    /// Read certificates again (SIGHUP).
    case reload
  }

  /// All environment variables.
  public static var variables: [String: String] {
    var result: [String: String] = [:]
    var index: Int32 = 0
    while let entry = unsafe platform_environment(index) {
      let text = unsafe String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        result[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      index += 1
    }
    return result
  }

  /// Leaves signals to `nextSignal`. Called first of all.
  public static func holdSignals() {
    precondition(platform_hold_signals() == 0, "signals cannot be handled")
  }

  /// Waits for a signal; blocks the thread.
  public static func nextSignal() -> Signal {
    platform_wait_signal() == SIGHUP ? .reload : .stop
  }

  /// Bounds what the allocator keeps of freed memory, so that a process that is idle is small.
  public static func tuneAllocator() {
    platform_tune_allocator(4 << 20, 4 << 20, 4)
  }
}
