import Base
import Runtime

/// Signals, waited for on a thread of their own and handed on.
enum Signals {
  /// Calls `reload` for each SIGHUP and `stop` for the first SIGTERM or SIGINT, then returns; also
  /// returns when the task is cancelled.
  static func forward(
    reload: @escaping @Sendable () -> Void, stop: @escaping @Sendable () -> Void
  ) async {
    let channel = BoundedChannel<ProcessEnvironment.Signal>(capacity: 4)
    let pool = ThreadPool(name: "signals", threadCount: 1)
    // The thread waits in the kernel for as long as the process lives: nothing waits for it.
    pool.detach {
      while true { try? await channel.send(ProcessEnvironment.nextSignal()) }
    }
    while let signal = try? await channel.next() {
      switch signal {
      case .reload: reload()
      case .stop: stop()
      }
    }
  }
}
