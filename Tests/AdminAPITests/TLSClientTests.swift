import Base
import Crypto
import Glibc
import HTTPServer
import Runtime
import TestSupport
import Testing

/// The TLS client of the command line against the real server.
struct TLSClientTests {
  private static let key = PrivateKey()

  private static func template(
    _ purpose: CertificateTemplate.Purpose, names: [String] = [], days: Int64 = 1
  ) -> CertificateTemplate {
    let now = SystemWallClock().now
    return CertificateTemplate(
      commonName: "test", dnsNames: names, purpose: purpose,
      notBefore: now.advanced(byMilliseconds: -10 * 86_400_000),
      notAfter: now.advanced(byMilliseconds: days * 86_400_000),
      serial: [1] + SystemRandom().bytes(15))
  }

  private static let authority = Certificate.selfSigned(
    template(.authority(depth: 0)), key: key)

  /// Serves "hello" over TLS with a certificate made of a template.
  private func serving(
    _ template: CertificateTemplate, signedBy signer: PrivateKey = key,
    _ body: @escaping @Sendable (UInt16) async throws -> Void
  ) async throws {
    let directory = TemporaryDirectory()
    let key = PrivateKey()
    let chain = Self.authority.issue(template, for: key, key: signer)
    for (name, text) in [("c.pem", chain.pem), ("k.pem", key.pem)] {
      let file = try #require(fopen("\(directory.path)/\(name)", "w"))
      fputs(text, file)
      fclose(file)
    }
    let server = try HTTPServer(
      listeners: [
        HTTPListener(
          address: "127.0.0.1", port: 0,
          tls: TLSFiles(
            certificateChain: "\(directory.path)/c.pem", privateKey: "\(directory.path)/k.pem"),
          handler: { request in
            let body = try await request.body.collect(upTo: 1 << 20)
            return HTTPResponse(status: 200, body: .bytes(Array("hello ".utf8) + body))
          })
      ], threads: 1)
    let port = try #require(server.addresses.first).port
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      do {
        try await body(port)
      } catch {
        server.beginShutdown(deadline: .zero)
        throw error
      }
      server.beginShutdown(deadline: .seconds(10))
      try await group.waitForAll()
    }
  }

  /// The server ended the connection too early.
  private struct Ended: Error {}

  /// Sends one request and returns what comes until the end.
  private static func fetch(
    _ port: UInt16, host: String, trust: TLSTrust, body: [UInt8]
  ) async throws -> String {
    try await ThreadPool(name: "test-tls", threadCount: 1).run {
      let session = try TLSClientSession(host: host, trust: trust)
      let connection = try LoopbackConnection(port: port)
      func flush() { connection.send(session.takeOutput()) }
      func feed() throws {
        guard let piece = connection.receive(limit: 700), !piece.isEmpty else { throw Ended() }
        session.receive(piece)
      }
      while true {
        defer { flush() }
        if try session.handshake() { break }
        flush()
        try feed()
      }
      let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
      try session.write(
        Array((head + "Content-Length: \(body.count)\r\n\r\n").utf8) + body)
      flush()
      var answer: [UInt8] = []
      while true {
        switch try session.read() {
        case .bytes(let bytes): answer += bytes
        case .needsInput: try feed()
        case .ended: return String(decoding: answer, as: UTF8.self)
        }
      }
    }
  }

  @Test("A trusted server of the right name is spoken to, whatever the sizes")
  func trusted() async throws {
    try await serving(Self.template(.server, names: ["localhost", "a.example"])) { port in
      for host in ["localhost", "a.example"] {
        for size in [0, 1, 16_384, 300_000] {
          let body = [UInt8](repeating: 0x78, count: size)
          let answer = try await Self.fetch(
            port, host: host, trust: .authorities([Self.authority]), body: body)
          #expect(answer.hasSuffix("\r\n\r\nhello " + String(repeating: "x", count: size)))
        }
      }
    }
  }

  @Test("A server of another name, address or authority is not spoken to")
  func untrusted() async throws {
    @Sendable func refusal(_ port: UInt16, _ host: String, _ trust: TLSTrust) async
      -> CertificateError?
    {
      do {
        _ = try await Self.fetch(port, host: host, trust: trust, body: [])
        return nil
      } catch {
        return error as? CertificateError
      }
    }
    let ours = TLSTrust.authorities([Self.authority])
    try await serving(Self.template(.server, names: ["a.example"])) { port in
      let other = Certificate.selfSigned(
        Self.template(.authority(depth: 0)), key: PrivateKey())
      let none: CertificateError? = await refusal(port, "a.example", ours)
      #expect(none == nil)
      for host in ["b.example", "127.0.0.1", "::1", "example", "x.a.example"] {
        guard case .untrusted = await refusal(port, host, ours) else {
          Issue.record("\(host)")
          continue
        }
      }
      for trust in [TLSTrust.system, .authorities([]), .authorities([other])] {
        guard case .untrusted = await refusal(port, "a.example", trust) else {
          Issue.record("\(trust)")
          continue
        }
      }
      for host in ["", "a\0b", String(repeating: "a", count: 254)] {
        #expect(throws: CertificateError.self) { try TLSClientSession(host: host, trust: ours) }
      }
    }
    for template in [
      Self.template(.client, names: ["a.example"]),
      Self.template(.server, names: ["a.example"], days: -1),
    ] {
      try await serving(template) { port in
        guard case .untrusted = await refusal(port, "a.example", ours) else {
          Issue.record("\(template)")
          return
        }
      }
    }
  }

  @Test(
    "What is no TLS is an error", arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "\u{16}\u{3}"])
  func noTLS(_ text: String) throws {
    let session = try TLSClientSession(host: "a.example", trust: .system)
    #expect(try session.handshake() == false)
    #expect(!session.takeOutput().isEmpty)
    session.receive(Array((text + String(repeating: "x", count: 200)).utf8))
    #expect(throws: CertificateError.self) { try session.handshake() }
  }
}
