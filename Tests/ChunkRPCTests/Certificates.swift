import Base
import ChunkRPC
import Foundation
import GRPC
import TestSupport

/// An authority and what it vouches for, made with the `openssl` command.
final class TestAuthority: Sendable {
  private let directory = TemporaryDirectory()
  let certificate: String

  init() async throws {
    let path = directory.path
    try await Self.openssl(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
      "2", "-subj", "/CN=authority", "-keyout", "\(path)/ca.key", "-out", "\(path)/ca.pem")
    certificate = try String(contentsOfFile: "\(path)/ca.pem", encoding: .utf8)
  }

  /// Material with a certificate for `name`, which trusts this authority or `trusting`.
  func issue(_ name: String, trusting: TestAuthority? = nil) async throws -> TLSMaterial {
    let path = "\(directory.path)/\(UUID().uuidString)"
    try "subjectAltName=DNS:\(name)\nbasicConstraints=CA:FALSE\n".write(
      toFile: "\(path).ext", atomically: true, encoding: .utf8)
    try await Self.openssl(
      "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
      "/CN=somebody", "-keyout", "\(path).key", "-out", "\(path).csr")
    try await Self.openssl(
      "x509", "-req", "-in", "\(path).csr", "-CA", "\(directory.path)/ca.pem", "-CAkey",
      "\(directory.path)/ca.key", "-CAcreateserial", "-days", "2", "-extfile", "\(path).ext",
      "-out", "\(path).pem")
    return TLSMaterial(
      authorities: (trusting ?? self).certificate,
      certificateChain: try String(contentsOfFile: "\(path).pem", encoding: .utf8),
      privateKey: try String(contentsOfFile: "\(path).key", encoding: .utf8))
  }

  private struct CommandFailed: Error {}

  /// Waits on a thread that may block.
  private static func openssl(_ arguments: String...) async throws {
    try await blockingPool.run { try run(arguments) }
  }

  private static func run(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CommandFailed() }
  }
}
