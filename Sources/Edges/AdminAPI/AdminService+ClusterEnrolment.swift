import Base
import HTTPServer
import Metadata
import Telemetry
import Trust

extension AdminService {
  /// What storage servers ask below `/cluster/`: proven by them, not signed by an administrator.
  func enrol(_ request: HTTPRequest) async throws -> HTTPResponse {
    guard let enrolment = providers.enrolment else {
      throw AdminError.notProvided("cluster of storage servers")
    }
    guard request.head.method == .post, request.head.query == nil,
      let operation = ClusterCall.Operation(
        rawValue: String(decoding: request.head.path.prefix(64), as: UTF8.self)),
      request.head.values(of: "authorization").count <= 1,
      request.head.values(of: "x-cluster-certificate").count <= 1
    else { throw AdminError(404, "not_found", "there is no such resource or method") }
    let address = request.remoteAddress.bytes
    let body = try await request.body.collect(upTo: ClusterCall.maximumBodyBytes)
    do {
      let reply = try await enrolment.answer(
        ClusterCall(
          operation: operation, authorization: request.head.text(of: "authorization"),
          certificate: request.head.text(of: "x-cluster-certificate"), body: body,
          sender: request.remoteAddress.host, isLoopback: Self.isLoopback(address)))
      return HTTPResponse(
        status: 200, headers: [("Content-Type", AdminResponse.json)] + reply.headers,
        body: .bytes(reply.body))
    } catch let error as TrustError {
      throw refusal(error)
    } catch MetadataError.alreadyExists {
      throw AdminError(409, "conflict", "one of the stores belongs to another storage server")
    }
  }

  /// What a refusal is to a client; what only an operator should know goes to the log.
  func refusal(_ error: TrustError) -> AdminError {
    if case .damaged(let reason) = error {
      log.error("stored trust cannot be read", [("reason", reason)])
    }
    return AdminError(trust: error)
  }

  private static func isLoopback(_ address: [UInt8]) -> Bool {
    if address.count == 4 { return address[0] == 127 }
    guard address.count == 16 else { return false }
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127]
    return address.starts(with: mapped) || address == [UInt8](repeating: 0, count: 15) + [1]
  }
}

extension AdminError {
  /// What a refusal is to a client.
  init(trust error: TrustError) {
    switch error {
    case .malformed: self.init(400, "invalid_request", error.description)
    case .unauthorized: self.init(401, "unauthorized", error.description)
    case .clock: self.init(401, "clock_skew", error.description)
    case .replayed: self.init(401, "replayed", error.description)
    case .refused: self.init(403, "forbidden", error.description)
    case .conflict: self.init(409, "conflict", error.description)
    case .notFound: self.init(404, "not_found", error.description)
    case .tooMany: self.init(429, "too_many_requests", error.description)
    case .notReady: self.init(503, "not_ready", error.description)
    case .damaged: self = .internalError
    }
  }
}
