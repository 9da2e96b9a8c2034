import HTTPServer
import Runtime
import Testing

/// A server on a free port for the time of `body`, which runs beside it.
///
/// After `body` the server is shut down; the test fails unless every connection ends in order.
func withServer(
  limits: HTTPLimits = .patient, tls: TLSFiles? = nil, threads: Int = 2,
  handler: @escaping HTTPHandler = TestRoutes.handler,
  _ body: @escaping @Sendable (HTTPServer, UInt16) async throws -> Void
) async throws {
  let server = try HTTPServer(
    listeners: [HTTPListener(address: "127.0.0.1", port: 0, tls: tls, handler: handler)],
    limits: limits, serverName: "test", threads: threads)
  let port = try #require(server.addresses.first).port
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask(executorPreference: serverThreads) { try await server.run() }
    do {
      try await body(server, port)
    } catch {
      server.beginShutdown(deadline: .zero)
      throw error
    }
    server.beginShutdown(deadline: .seconds(10))
    try await group.waitForAll()
  }
  #expect(server.statistics.openConnections == 0)
  #expect(server.statistics.activeRequests == 0)
}

extension HTTPLimits {
  /// Those of a server whose clients may be kept waiting by all the other tests: a test that is
  /// about a time sets it.
  static let patient = {
    var limits = HTTPLimits()
    limits.headMilliseconds = 3_600_000
    limits.idleMilliseconds = 3_600_000
    limits.bodyWaitMilliseconds = 3_600_000
    limits.writeWaitMilliseconds = 3_600_000
    limits.rateWindowMilliseconds = 3_600_000
    return limits
  }()
}

/// Where servers are run from: tests of other suites may keep the default threads busy for long.
let serverThreads = ThreadPool(name: "test-server", threadCount: 1)

/// Threads for clients, which block.
private let clientThreads = ThreadPool(name: "test-client", threadCount: 8)

/// Runs a blocking client.
func asClient<R: Sendable>(_ body: @Sendable () throws -> R) async throws -> R {
  try await clientThreads.run(body)
}
