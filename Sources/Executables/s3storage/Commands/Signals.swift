import Base
import Glibc
import Runtime
import Synchronization

/// Signals, waited for on a thread of their own and handed on.
enum Signals {
  private typealias Channel = BoundedChannel<ProcessEnvironment.Signal>

  /// Where signals go; nil while nobody takes them.
  private static let receiver = Mutex<Channel?>(nil)
  private static let pool = ThreadPool(name: "signals", threadCount: 1)

  /// Waits for signals from now on. Until `forward` is called, one that says stop ends the process
  /// at once with `status`: nothing runs yet that would have to end in order, and whatever
  /// is being written may be interrupted at any moment.
  static func watch(endingWith status: Int32) {
    // The thread waits in the kernel for as long as the process lives: nothing waits for it.
    pool.detach {
      while true {
        let signal = ProcessEnvironment.nextSignal()
        if let channel = receiver.withLock({ $0 }) {
          try? await channel.send(signal)
        } else if signal == .stop {
          _exit(status)
        }
      }
    }
  }

  /// Calls `reload` for each SIGHUP and `stop` for the first SIGTERM or SIGINT, then returns; also
  /// returns when the task is cancelled.
  static func forward(
    reload: @escaping @Sendable () -> Void, stop: @escaping @Sendable () -> Void
  ) async {
    let channel = Channel(capacity: 4)
    receiver.withLock { $0 = channel }
    defer { receiver.withLock { $0 = nil } }
    while let signal = try? await channel.next() {
      switch signal {
      case .reload: reload()
      case .stop: stop()
      }
    }
  }
}
