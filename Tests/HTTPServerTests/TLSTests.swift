import Foundation
import HTTPServer
import Testing

@Suite("TLS")
struct TLSTests {
  /// Two self-signed certificates for 127.0.0.1 that outlive any use of this test.
  private static let certificateA = """
    -----BEGIN CERTIFICATE-----
    MIIBiTCCATCgAwIBAgIUKSbrfk7mkvUEzLRoKLDDsXEDJ90wCgYIKoZIzj0EAwIw
    ETEPMA0GA1UEAwwGdGVzdC1hMCAXDTI2MTEyMTAyNDc0NVoYDzIxMjYxMDI4MDI0
    NzQ1WjARMQ8wDQYDVQQDDAZ0ZXN0LWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
    AATcc6O1t7Z7x6VWKlp0hAS+W0Lsq5SBhnIxm5TmJxN7g+LO0tPT1pWK+xrOM/Kb
    CRQoBRglU5jGymTo4HpmKNZwo2QwYjAdBgNVHQ4EFgQUBjv0n5wpDRyxkukw2I6a
    0V+sX28wHwYDVR0jBBgwFoAUBjv0n5wpDRyxkukw2I6a0V+sX28wDwYDVR0TAQH/
    BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQCIGKnKih0
    LwaYrTWVe1ltzInaOce/it3cdaniJRflwnvmAiA1QhGFSq1Fdt64AVrbUE04OYte
    BewD7PtpHnI5IJXQCw==
    -----END CERTIFICATE-----
    """
  private static let keyA = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg73rLsDWCMM3VGKE1
    rUdIOn2j63EypJTHS/92ekg2KQyhRANCAATcc6O1t7Z7x6VWKlp0hAS+W0Lsq5SB
    hnIxm5TmJxN7g+LO0tPT1pWK+xrOM/KbCRQoBRglU5jGymTo4HpmKNZw
    -----END PRIVATE KEY-----
    """
  private static let certificateB = """
    -----BEGIN CERTIFICATE-----
    MIIBijCCATCgAwIBAgIUZdc33xSLaUnj1hKWZymabm71SVMwCgYIKoZIzj0EAwIw
    ETEPMA0GA1UEAwwGdGVzdC1iMCAXDTI2MTEyMTAyNDc0NVoYDzIxMjYxMDI4MDI0
    NzQ1WjARMQ8wDQYDVQQDDAZ0ZXN0LWIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
    AARZD1PtFEtdAU735c3+ekfeFdd6bd4tXys5bqFqEXZ934wzqC2/djZG9DfPgd4z
    +3wsVQH2UkdxEa3Td2sjNUqzo2QwYjAdBgNVHQ4EFgQUkdB0hedVKBUO6s6kJJaQ
    g62WkOcwHwYDVR0jBBgwFoAUkdB0hedVKBUO6s6kJJaQg62WkOcwDwYDVR0TAQH/
    BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0gAMEUCIFFBcAJg
    aF5l1NcWsoq5DmfCv5YzeQrWoq0DuNc/lp9uAiEAm0EVwUn+G3IWbO8joqEVFlqO
    vE7ErBzNccnmf6yop9s=
    -----END CERTIFICATE-----
    """
  private static let keyB = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWefvCZc5wc839WuE
    +RIUxIh2fTTRZRBYyY16xxokZiehRANCAARZD1PtFEtdAU735c3+ekfeFdd6bd4t
    Xys5bqFqEXZ934wzqC2/djZG9DfPgd4z+3wsVQH2UkdxEa3Td2sjNUqz
    -----END PRIVATE KEY-----
    """

  /// A directory for one test, removed with it.
  private final class Folder: Sendable {
    let path: String
    init() throws {
      path = NSTemporaryDirectory() + "http-tls-" + UUID().uuidString
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ content: String) throws -> String {
      try content.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
      return "\(path)/\(name)"
    }
  }

  private static func files(in folder: Folder) throws -> TLSFiles {
    TLSFiles(
      certificateChain: try folder.write("cert.pem", certificateA),
      privateKey: try folder.write("key.pem", keyA))
  }

  /// What curl prints, and its exit status.
  private static func curl(_ arguments: [String]) throws -> (output: Data, status: Int32) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
    process.arguments = ["--silent", "--noproxy", "*", "--max-time", "20"] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (output, process.terminationStatus)
  }

  @Test("Bodies go both ways unchanged, with a length and chunked", arguments: ["1.2", "1.3"])
  func movesBodies(version: String) async throws {
    let folder = try Folder()
    let files = try Self.files(in: folder)
    let body = Data((0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) })
    let bodyPath = folder.path + "/body"
    try body.write(to: URL(fileURLWithPath: bodyPath))
    try await withServer(tls: files) { _, port in
      try await asClient {
        let common = ["--cacert", files.certificateChain, "--tlsv\(version)", "--tls-max", version]
        let url = "https://127.0.0.1:\(port)"
        for extra in [[], ["-H", "Transfer-Encoding: chunked"]] {
          let put = try Self.curl(common + extra + ["-T", bodyPath, "\(url)/collect"])
          #expect(put.status == 0 && put.output == body)
        }
        for path in ["bytes", "chunked"] {
          let get = try Self.curl(common + ["\(url)/\(path)/3000000", "\(url)/small"])
          #expect(get.status == 0 && get.output.count == 3_000_012)
        }
      }
    }
  }

  @Test("TLS 1.1 and plain text are not served")
  func refusesOldVersions() async throws {
    let folder = try Folder()
    let files = try Self.files(in: folder)
    try await withServer(tls: files) { server, port in
      try await asClient {
        let url = "https://127.0.0.1:\(port)/small"
        let old = try Self.curl([
          "--insecure", "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0", url,
        ])
        #expect(old.status != 0)
        let client = try TestClient(port: port)
        client.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        client.receiveAll()
        #expect(client.statuses.isEmpty)
      }
      #expect(server.statistics.requests == 0)
    }
  }

  @Test("A reload serves the new certificate, and a failed one keeps the old")
  func reloads() async throws {
    let folder = try Folder()
    let files = try Self.files(in: folder)
    let oldRoot = try folder.write("a.pem", Self.certificateA)
    let newRoot = try folder.write("b.pem", Self.certificateB)
    try await withServer(tls: files) { server, port in
      let url = "https://127.0.0.1:\(port)/small"
      func statuses() async throws -> [Int32] {
        try await asClient {
          try [oldRoot, newRoot].map { try Self.curl(["--cacert", $0, url]).status }
        }
      }
      // 60: the peer's certificate is not to be trusted.
      #expect(try await statuses() == [0, 60])
      _ = try folder.write("cert.pem", Self.certificateB)
      #expect(throws: HTTPServerError.self) { try server.reloadCertificates() }
      #expect(try await statuses() == [0, 60])
      _ = try folder.write("key.pem", Self.keyB)
      try server.reloadCertificates()
      #expect(try await statuses() == [60, 0])
      _ = try folder.write("cert.pem", "nonsense")
      #expect(throws: HTTPServerError.self) { try server.reloadCertificates() }
      #expect(try await statuses() == [60, 0])
    }
  }

  @Test("A handshake that does not come to its end is given up")
  func boundsHandshakes() async throws {
    let folder = try Folder()
    let files = try Self.files(in: folder)
    var limits = HTTPLimits.patient
    limits.headMilliseconds = 100
    try await withServer(limits: limits, tls: files) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send([0x16, 0x03, 0x01])
        #expect(client.receiveAll() != .timedOut)
      }
    }
  }

  @Test("Files that cannot be used are named, and no server is made")
  func refusesBadFiles() throws {
    let folder = try Folder()
    let files = TLSFiles(certificateChain: folder.path + "/none", privateKey: folder.path + "/no")
    #expect(throws: HTTPServerError.tls("certificate chain not readable: \(folder.path)/none")) {
      try HTTPServer(listeners: [
        HTTPListener(address: "127.0.0.1", port: 0, tls: files, handler: TestRoutes.handler)
      ])
    }
  }
}
