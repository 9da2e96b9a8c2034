import HTTPServer
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Memory under pressure")
struct PressureTests {
  /// What one connection may take of a body that nobody reads: the windows of both sides and the
  /// buffers of the kernel.
  private static let most = 16 << 20

  private final class Counter: Sendable {
    let bytes = Atomic<Int>(0)
    let isOpen = Atomic<Bool>(false)
  }

  @Test("32 readers that read nothing of 1 GiB make the server produce next to nothing of it")
  func slowReaders() async throws {
    let produced = Counter()
    var limits = HTTPLimits.patient
    limits.writeWaitMilliseconds = 500
    let handler: HTTPHandler = { _ in
      HTTPResponse(
        status: 200,
        body: .stream(length: 1 << 30) { writer in
          let buffer = AlignedBuffer(count: 256 << 10)
          buffer.zero(0..<buffer.count)
          for _ in 0..<(1 << 30) / buffer.count {
            try await writer.write(buffer, 0..<buffer.count)
            produced.bytes.add(buffer.count, ordering: .relaxed)
          }
        })
    }
    try await withServer(limits: limits, handler: handler) { server, port in
      let clients = try await asClient {
        try (0..<32).map { _ in
          let client = try TestClient(port: port, receiveBuffer: 65_536)
          client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
          return SendableClient(client)
        }
      }
      try await eventually { server.statistics.requests == 32 }
      // Each is cut off once it has taken nothing for long enough.
      try await eventually { server.statistics.openConnections == 0 }
      let bytes = produced.bytes.load(ordering: .relaxed)
      #expect(bytes > 0 && bytes < 32 * Self.most, "\(bytes)")
      for client in clients { client.value.disconnect() }
    }
  }

  @Test("16 fast uploads to a handler that does not read are held back")
  func fastUploads() async throws {
    let gate = Counter()
    let handler: HTTPHandler = { request in
      while !gate.isOpen.load(ordering: .relaxed) {
        try await Task.sleep(for: .milliseconds(5))
      }
      let buffer = AlignedBuffer(count: 4096)
      _ = try await request.body.read(into: buffer, count: 4096)
      return TestRoutes.text(400, "seen\n")
    }
    try await withServer(handler: handler) { _, port in
      let taken = try await asClient {
        let piece = [UInt8](repeating: 1, count: 256 << 10)
        let clients = try (0..<16).map { _ in try TestClient(port: port) }
        defer { gate.isOpen.store(true, ordering: .relaxed) }
        return clients.map { client in
          client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
          return client.sendUntilFull(piece, limit: 4 * Self.most, within: 100)
        }
      }
      #expect(taken.allSatisfy { $0 > 0 && $0 < Self.most }, "\(taken)")
    }
  }
}
