internal import Base
public import GRPC

/// How gateways and storage servers know each other.
public enum ChunkRPCSecurity: Sendable {
  /// Mutual TLS. A gateway's certificate names `ClusterNames.gateway`, a server's
  /// `ClusterNames.server`; the identity's authorities vouch for both.
  case mutualTLS(TLSIdentity)
  /// A secret of at least 16 bytes that each call carries in the clear: on loopback only.
  case sharedSecret(String)
}

/// Why a chunk server cannot serve.
public enum ChunkRPCError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Neither certificates nor a secret: anybody could read and delete chunks.
  case insecure
  /// A secret off loopback: anybody on the way could read it.
  case secretOffLoopback
  /// A secret of fewer than 16 bytes, or with anything but printable ASCII in it.
  case weakSecret
  /// The address cannot be listened on.
  case bind(String)
  /// Two stores of the same id.
  case duplicateStore
  /// A budget of buffers below 4 MiB.
  case smallBudget
  /// `run` was called before.
  case started

  /// One line for an operator.
  public var description: String {
    switch self {
    case .insecure: "the chunk service needs certificates, or a shared secret on loopback"
    case .secretOffLoopback: "a shared secret serves on loopback only: use certificates"
    case .weakSecret: "a shared secret has at least 16 printable ASCII characters"
    case .bind(let address): "cannot listen on \(address)"
    case .duplicateStore: "two stores have the same id"
    case .smallBudget: "the chunk service needs at least 4 MiB of buffers"
    case .started: "the chunk service has been started before"
    }
  }
}

/// What calls carry besides their messages.
enum CallMetadata {
  static let secret = "s3storage-secret"
  static let server = "s3storage-server"
  static let stamp = "s3storage-stamp"
  static let minimumSecretLength = 16

  /// Whether a secret can be sent and is long enough.
  static func isUsable(_ secret: String) -> Bool {
    secret.utf8.count >= minimumSecretLength
      && secret.utf8.allSatisfy { (0x21...0x7e).contains($0) }
  }
}

/// Addresses of this machine.
enum LoopbackAddress {
  /// `host:port` in numbers when the host is this machine's loopback; nil for any other. No name
  /// but `localhost` is taken for it, and that is not looked up.
  static func resolve(_ address: String) -> String? {
    guard let colon = address.lastIndex(of: ":") else { return nil }
    let (host, port) = (address[..<colon], address[colon...])
    if host == "localhost" { return "127.0.0.1\(port)" }
    if host == "[::1]" { return address }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    let isNumeric = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil && !$0.hasPrefix("+") }
    return isNumeric && parts[0] == "127" ? address : nil
  }
}
