import HTTPServer
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Connections and shutdown")
struct LifecycleTests {
  private static let request = "GET /small HTTP/1.1\r\nHost: x\r\n\r\n"

  /// A handler that waits until its gate opens or its task is cancelled.
  private final class Gate: Sendable {
    private let state = Mutex((entered: 0, cancelled: 0, isOpen: false))

    var entered: Int { state.withLock { $0.entered } }
    var cancelled: Int { state.withLock { $0.cancelled } }
    func open() { state.withLock { $0.isOpen = true } }

    func pass() async {
      state.withLock { $0.entered += 1 }
      while !state.withLock({ $0.isOpen }) {
        do {
          try await Task.sleep(for: .milliseconds(1))
        } catch {
          state.withLock { $0.cancelled += 1 }
          return
        }
      }
    }

    var handler: HTTPHandler {
      { _ in
        await self.pass()
        return TestRoutes.text(200, "done\n")
      }
    }
  }

  @Test(
    "A client that disconnects cancels a handler that is busy elsewhere", arguments: [false, true])
  func cancelsOnDisconnect(byReset: Bool) async throws {
    let gate = Gate()
    try await withServer(handler: gate.handler) { server, port in
      let client = SendableClient(try TestClient(port: port))
      client.value.send(Self.request)
      try await eventually { gate.entered == 1 }
      if byReset { client.value.reset() } else { client.value.disconnect() }
      try await eventually { gate.cancelled == 1 }
      try await eventually { server.statistics.openConnections == 0 }
    }
  }

  @Test("A half-closed client is answered: always when it was so before, else if configured")
  func answersHalfClosedClients() async throws {
    let gate = Gate()
    var limits = HTTPLimits.patient
    limits.halfClose = .awaitsAnswer
    try await withServer(limits: limits, handler: gate.handler) { _, port in
      let client = SendableClient(try TestClient(port: port))
      client.value.send(Self.request)
      try await eventually { gate.entered == 1 }
      client.value.endSending()
      gate.open()
      try await asClient { _ = client.value.receiveAll() }
      #expect(client.value.statuses == [200])
      #expect(gate.cancelled == 0)
    }
    // What the handler still returns is sent, though its task was cancelled.
    let second = Gate()
    try await withServer(handler: second.handler) { _, port in
      let client = SendableClient(try TestClient(port: port))
      client.value.send(Self.request)
      try await eventually { second.entered == 1 }
      client.value.endSending()
      try await asClient { _ = client.value.receiveAll() }
      #expect(client.value.statuses == [200])
      #expect(second.cancelled == 1)
    }
  }

  @Test("A body that can no longer be completed cancels a handler that is not reading it")
  func cancelsOnShortBody() async throws {
    let gate = Gate()
    var limits = HTTPLimits.patient
    limits.halfClose = .awaitsAnswer
    try await withServer(limits: limits, handler: gate.handler) { _, port in
      let client = SendableClient(try TestClient(port: port))
      client.value.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
      try await eventually { gate.entered == 1 }
      client.value.endSending()
      try await eventually { gate.cancelled == 1 }
    }
  }

  @Test("Shutdown ends idle connections, lets requests finish and refuses new clients")
  func shutsDownGracefully() async throws {
    let gate = Gate()
    try await withServer(handler: gate.handler) { server, port in
      let idle = SendableClient(try TestClient(port: port))
      let busy = SendableClient(try TestClient(port: port))
      try await eventually { server.statistics.openConnections == 2 }
      busy.value.send(Self.request)
      try await eventually { gate.entered == 1 }
      server.beginShutdown(deadline: .seconds(60))
      try await asClient { #expect(idle.value.receiveAll() == .closed) }
      #expect(throws: LoopbackConnection.Failure.self) {
        // The listener is closed before the idle connections are.
        _ = try TestClient(port: port)
      }
      #expect(gate.cancelled == 0)
      gate.open()
      try await asClient { #expect(busy.value.receiveAll() == .closed) }
      #expect(busy.value.statuses == [200])
      #expect(busy.value.text.contains("Connection: close"))
    }
  }

  @Test("After the deadline connections are cut and their handlers cancelled")
  func cutsAfterTheDeadline() async throws {
    let gate = Gate()
    try await withServer(handler: gate.handler) { server, port in
      let client = SendableClient(try TestClient(port: port))
      client.value.send(Self.request)
      try await eventually { gate.entered == 1 }
      server.beginShutdown(deadline: .milliseconds(50))
      try await asClient { _ = client.value.receiveAll() }
      #expect(client.value.statuses.isEmpty)
      try await eventually { gate.cancelled == 1 }
    }
  }

  @Test("Cancelling run cuts everything off, and a server runs once")
  func stopsWhenCancelled() async throws {
    let gate = Gate()
    let server = try HTTPServer(
      listeners: [HTTPListener(address: "127.0.0.1", port: 0, handler: gate.handler)])
    let port = try #require(server.addresses.first).port
    let client = SendableClient(try TestClient(port: port))
    client.value.send(Self.request)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: serverThreads) { try await server.run() }
      try await eventually { gate.entered == 1 }
      group.cancelAll()
      try await group.waitForAll()
    }
    #expect(gate.cancelled == 1)
    #expect(server.statistics.openConnections == 0)
    await #expect(throws: HTTPServerError.alreadyRun) { try await server.run() }
  }

  @Test("A server that is shut down before it runs does not serve")
  func maySkipRunning() async throws {
    let server = try HTTPServer(
      listeners: [HTTPListener(address: "127.0.0.1", port: 0, handler: TestRoutes.handler)])
    server.beginShutdown(deadline: .seconds(1))
    try await server.run()
    #expect(server.statistics.acceptedConnections == 0)
  }

  @Test("At the connection limit a client waits while all others are at work")
  func boundsConnections() async throws {
    let gate = Gate()
    var limits = HTTPLimits.patient
    limits.maximumConnections = 2
    try await withServer(limits: limits, handler: gate.handler) { server, port in
      let busy = try (0..<2).map { _ in SendableClient(try TestClient(port: port)) }
      for client in busy { client.value.send(Self.request) }
      try await eventually { gate.entered == 2 }
      let third = SendableClient(try TestClient(port: port))
      third.value.send(Self.request)
      try await eventually { server.statistics.acceptPauses > 0 }
      #expect(server.statistics.openConnections == 2 && server.statistics.requests == 2)
      busy[0].value.disconnect()
      try await eventually { gate.entered == 3 }
      gate.open()
      try await asClient { _ = third.value.receive(responses: 1) }
      #expect(third.value.statuses == [200])
    }
  }

  @Test("At the connection limit idle connections make room")
  func endsIdleConnectionsForRoom() async throws {
    var limits = HTTPLimits.patient
    limits.maximumConnections = 2
    try await withServer(limits: limits) { server, port in
      let idle = try (0..<2).map { _ in SendableClient(try TestClient(port: port)) }
      try await eventually { server.statistics.openConnections == 2 }
      let third = SendableClient(try TestClient(port: port))
      third.value.send(Self.request)
      try await asClient { _ = third.value.receive(responses: 1) }
      #expect(third.value.statuses == [200])
      #expect(idle.count == 2)
    }
  }

  @Test("A connection without a request, and one with half a request, are ended in time")
  func boundsSlowHeads() async throws {
    var limits = HTTPLimits.patient
    limits.idleMilliseconds = 150
    limits.headMilliseconds = 150
    try await withServer(limits: limits) { _, port in
      try await asClient {
        let idle = try TestClient(port: port)
        let slow = try TestClient(port: port)
        slow.send("GET /small HTTP/1.1\r\n")
        // Each byte would prolong a limit per wait; the limit is on the whole head.
        while slow.receiveMore(within: 20) == .timedOut { slow.send("X") }
        slow.receiveAll()
        #expect(slow.statuses == [408])
        idle.receiveAll()
        #expect(idle.received.isEmpty)
      }
    }
  }

  @Test("No connection outlives its client, however it ends")
  func leaksNothing() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    try await withServer { server, port in
      try await asClient {
        var generator = SeededRandom(seed: seed)
        for _ in 0..<200 {
          let client = try TestClient(port: port)
          let requests = [
            Self.request, "GET /bytes/3000000 HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HT", "\0",
            "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc",
            "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "",
          ]
          client.send(requests.randomElement(using: &generator) ?? "")
          switch Int.random(in: 0..<3, using: &generator) {
          case 0: client.reset()
          case 1: client.endSending()
          default: break
          }
        }
      }
      try await eventually { server.statistics.acceptedConnections == 200 }
      try await eventually { server.statistics.openConnections == 0 }
    }
  }

  @Test("Several listeners, each with its handler, on both families")
  func servesSeveralListeners() async throws {
    let server = try HTTPServer(listeners: [
      HTTPListener(address: "127.0.0.1", port: 0) { _ in TestRoutes.text(200, "first\n") },
      HTTPListener(address: "::", port: 0) { request in
        TestRoutes.text(200, "\(request.remoteAddress.host) \(request.isTLS)\n")
      },
      HTTPListener(
        address: "::1", port: 0, errorBody: { status, _ in (Array("<\(status)/>".utf8), "a/xml") }
      ) { _ in throw TestRoutes.TestFailure() },
    ])
    #expect(server.addresses.map(\.host) == ["127.0.0.1", "::", "::1"])
    let ports = server.addresses.map(\.port)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: serverThreads) { try await server.run() }
      try await asClient {
        for (port, text) in [(ports[0], "first\n"), (ports[1], "127.0.0.1 false\n")] {
          let client = try TestClient(port: port)
          client.send(Self.request)
          client.receive(responses: 1)
          #expect(client.text.hasSuffix(text))
        }
      }
      server.beginShutdown(deadline: .seconds(10))
      try await group.waitForAll()
    }
  }

  @Test("An address that is taken or no address is refused with its errno")
  func reportsBindFailures() throws {
    let listener = HTTPListener(address: "127.0.0.1", port: 0, handler: TestRoutes.handler)
    let server = try HTTPServer(listeners: [listener])
    var taken = listener
    taken.port = try #require(server.addresses.first).port
    #expect(throws: HTTPServerError.bind(address: "127.0.0.1", port: taken.port, code: 98)) {
      try HTTPServer(listeners: [taken])
    }
    var wrong = listener
    wrong.address = "localhost"
    #expect(throws: HTTPServerError.bind(address: "localhost", port: 0, code: 22)) {
      try HTTPServer(listeners: [wrong])
    }
  }
}
