import Cluster
import HTTPServer
import Runtime
import Telemetry

/// The life of a process that serves HTTP.
enum GatewayProcess {
  /// Serves until a signal ends it, drains, and closes everything in the right order.
  static func serve(_ node: some GatewayNode, _ configuration: Configuration) async throws {
    let gateway = node.gateway
    let log = gateway.log
    let server = try gateway.makeServer(configuration)
    Announcement.show(gateway, server, configuration)
    let deadline = Duration.seconds(configuration.number("SHUTDOWN_SECONDS"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await node.runBeside() }
      group.addTask {
        await Signals.forward(reload: { try? server.reloadCertificates() }) {
          gateway.draining.begin()
          log.info("stopping: running requests may end")
          server.beginShutdown(deadline: deadline)
        }
      }
      try await withThrowingTaskGroup(of: Void.self) { work in
        work.addTask { await gateway.work.supervisor.run() }
        try await server.run()
        work.cancelAll()
      }
      await node.shutDown()
      group.cancelAll()
    }
    log.info("stopped")
  }
}
