internal import Base
internal import GRPC

/// Lets in the calls of those who may call.
struct CallGate: Sendable {
  private let secret: [UInt8]?
  private let server: [UInt8]

  init(security: ChunkRPCSecurity, server: ServerID) {
    switch security {
    case .mutualTLS: secret = nil
    case .sharedSecret(let text): secret = Array(text.utf8)
    }
    self.server = Array(server.description.utf8)
  }

  /// Throws unless the caller has shown who it is, and means this server.
  func admit(_ call: ServerCall) throws(RPCStatus) {
    if let secret {
      let given = call.metadata(CallMetadata.secret)
      guard given.count == 1, ConstantTime.equals(given[0], secret) else {
        throw RPCStatus(.unauthenticated, "the secret is missing or wrong")
      }
    } else {
      // The connection has a certificate of the cluster's, or it would not be there.
      guard call.peerNames.contains(ClusterNames.gateway) else {
        throw RPCStatus(.permissionDenied, "the certificate is not that of a gateway")
      }
    }
    guard call.metadata(CallMetadata.server).allSatisfy({ $0 == server }) else {
      throw RPCStatus(.unavailable, "this is another server")
    }
  }
}
