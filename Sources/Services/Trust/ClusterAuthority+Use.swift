public import Base
import Crypto
import Metadata
import Runtime

/// Who has to trust the authority that signs before the older ones may end.
public struct AuthorityUsers: Sendable {
  /// The storage servers that have not left.
  public var servers: [ServerID]
  /// The epochs of the gateways that live.
  public var writers: [UInt64]

  /// These members.
  public init(servers: [ServerID], writers: [UInt64]) {
    self.servers = servers
    self.writers = writers
  }
}

/// What members were seen to go by. A certificate comes together with the authorities, so that who
/// shows one of the newest authority also trusts that.
extension ClusterAuthority {
  /// Stands for a member without certificates.
  private static let none: [UInt8] = [0]
  private static let gatewaysSetting = "cluster_gateway_authorities"
  private static let gatewayLimit = 4096

  private static func setting(_ server: ServerID) -> String { "cluster_server_authority_\(server)" }

  /// Takes note of the certificate with which a storage server has registered; nil for one that
  /// has none.
  func noteUse(_ certificate: Certificate?, by server: ServerID) async throws {
    let used = try await fingerprint(of: certificate)
    let name = Self.setting(server)
    let known = try await settings.setting(name)
    guard known != used else { return }
    // Where another request of that server is faster, the next one brings it.
    _ = try await settings.replaceSetting(name, expected: known, with: used)
  }

  /// Takes note of the identity that the gateway with the writer's epoch `writer` has put in force;
  /// nil for one that has none. `living` are the epochs of all gateways that live.
  public func noteUse(
    _ identity: TransportIdentity?, byWriter writer: UInt64, living: [UInt64]
  ) async throws {
    let used = try await fingerprint(of: try identity.map { try OpenIdentity($0).certificate })
    for _ in 0..<16 {
      let stored = try await settings.setting(Self.gatewaysSetting)
      var gateways = Self.decode(stored)
      guard gateways[writer] != used else { return }
      gateways = gateways.filter { living.contains($0.key) }
      gateways[writer] = used
      if try await settings.replaceSetting(
        Self.gatewaysSetting, expected: stored, with: Self.encode(gateways))
      {
        return
      }
    }
    throw TrustError.conflict("others do the same at the same time")
  }

  /// The members that were not seen yet to go by the authority that signs, one text for each.
  public func membersBehind(_ users: AuthorityUsers) async throws -> [String] {
    guard let last = try await load().authorities.last else { throw TrustError.damaged("none") }
    let newest = last.certificate.publicKeyFingerprint
    var behind: [String] = []
    for server in users.servers.sorted() {
      let used = try await settings.setting(Self.setting(server))
      if used != newest, used != Self.none { behind.append("storage server \(server)") }
    }
    let gateways = Self.decode(try await settings.setting(Self.gatewaysSetting))
    for writer in users.writers.sorted() {
      let used = gateways[writer]
      if used != newest, used != Self.none { behind.append("the gateway with epoch \(writer)") }
    }
    return behind
  }

  private func fingerprint(of certificate: Certificate?) async throws -> [UInt8] {
    guard let certificate else { return Self.none }
    let signer = try await load().certificates.last { certificate.isSigned(by: $0) }
    return signer?.publicKeyFingerprint ?? []
  }

  private static func encode(_ gateways: [UInt64: [UInt8]]) -> [UInt8] {
    var writer = ByteWriter(capacity: 64)
    for (epoch, used) in gateways.sorted(by: { $0.key > $1.key }).prefix(gatewayLimit) {
      writer.write(epoch)
      writer.writeSized(used)
    }
    return writer.bytes
  }

  /// What cannot be read counts as not there: then all are behind, until they have been seen again.
  private static func decode(_ bytes: [UInt8]?) -> [UInt64: [UInt8]] {
    var gateways: [UInt64: [UInt8]] = [:]
    var reader = ByteReader(bytes ?? [])
    while !reader.isAtEnd {
      guard let epoch = try? reader.readInteger(UInt64.self),
        let used = try? reader.readSized(limit: 64)
      else { return [:] }
      gateways[epoch] = used
    }
    return gateways
  }
}
