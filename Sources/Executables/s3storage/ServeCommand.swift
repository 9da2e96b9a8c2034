import Base
import Disk
import HTTPServer
import Runtime
import Telemetry

/// `s3storage serve`: gateway, stores and metadata in one process.
enum ServeCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    let configuration: Configuration
    do {
      configuration = try Configuration(
        options: Settings.all, arguments: arguments, environment: environment)
    } catch {
      Terminal.err("s3storage: \(error)\n")
      return 2
    }
    let level = Log.Level.allCases.first { $0.name == configuration["LOG_LEVEL"] }
    guard let level else {
      Terminal.err("s3storage: LOG_LEVEL is debug, info, warning, error or fatal\n")
      return 2
    }
    let log = Log(component: "serve", minimum: level)
    do {
      try await serve(configuration, log)
      return 0
    } catch {
      log.error("the server could not start or had to stop", [("error", "\(error)")])
      Terminal.err("s3storage: \(error)\n")
      return 1
    }
  }

  private static func serve(_ configuration: Configuration, _ log: Log) async throws {
    let node = try await EmbeddedNode.open(configuration, log: log)
    let server = try node.makeServer(configuration)
    Announcement.show(node, server, configuration)
    let deadline = Duration.seconds(configuration.number("SHUTDOWN_SECONDS"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await node.runStores() }
      group.addTask {
        await Signals.forward(reload: { try? server.reloadCertificates() }) {
          node.draining.begin()
          log.info("stopping: running requests may end")
          server.beginShutdown(deadline: deadline)
        }
      }
      try await withThrowingTaskGroup(of: Void.self) { work in
        work.addTask { await node.runWorkers() }
        try await server.run()
        work.cancelAll()
      }
      await node.shutDown()
      group.cancelAll()
    }
    log.info("stopped")
  }
}

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
