import Base
import HTTPServer
import Runtime
import Trust

extension AdminService {
  /// `cluster/tokens`, `cluster/ca` and what is below them, for administrators.
  func cluster(_ call: AdminCall) async throws -> HTTPResponse {
    guard let authority = providers.enrolment?.authority else {
      throw AdminError.notProvided("cluster of storage servers")
    }
    let path = call.path.dropFirst().joined(separator: "/")
    do {
      switch (call.method, call.path.count, path) {
      case (.get, 2, "tokens"): return try await listTokens(authority)
      case (.post, 2, "tokens"): return try await makeToken(call, authority)
      case (.delete, 3, _) where call.path[1] == "tokens":
        return try await revokeToken(call, authority)
      case (.get, 2, "ca"):
        return AdminResponse.json(200, ["ca": .string(try await authority.trustedPEM())])
      case (.post, 3, "ca/rotate"):
        try call.allow([])
        let count = try await authority.rotate()
        return AdminResponse.json(200, ["authorities": .integer(Int64(count))])
      case (.post, 3, "ca/retire"):
        try call.allow(["force"])
        let count = try await authority.retireOldAuthorities(
          isForced: try call.text("force") == "yes")
        return AdminResponse.json(200, ["retired": .integer(Int64(count))])
      default: throw AdminError(404, "not_found", "there is no such resource or method")
      }
    } catch let error as TrustError {
      throw refusal(error)
    }
  }

  private func listTokens(_ authority: ClusterAuthority) async throws -> HTTPResponse {
    let now = clock.now
    let tokens = try await authority.tokens().map { Self.token($0, isGood: $0.expires > now) }
    return AdminResponse.json(200, ["tokens": .array(tokens.map { .object($0) })])
  }

  private func makeToken(
    _ call: AdminCall, _ authority: ClusterAuthority
  ) async throws -> HTTPResponse {
    try call.allow(["expires_at", "uses", "server_id"])
    var server: ServerID?
    if let text = try call.text("server_id") {
      guard let id = ServerID(hex: text) else {
        throw AdminError.badRequest("server_id is 32 hexadecimal digits")
      }
      server = id
    }
    let uses = try call.integer("uses")
    let lifetime = try call.timestamp("expires_at").map {
      $0.milliseconds &- clock.now.milliseconds
    }
    let made = try await authority.makeToken(lifetime: lifetime, uses: uses, server: server)
    var members = Self.token(made.record, isGood: true)
    members.append(JSONValue.Member("token", .string(made.token.text)))
    return AdminResponse.json(201, .object(members))
  }

  private func revokeToken(
    _ call: AdminCall, _ authority: ClusterAuthority
  ) async throws -> HTTPResponse {
    guard let id = JoinToken.ID(hex: call.path[2]) else {
      throw AdminError(404, "not_found", "there is no such token")
    }
    try await authority.revokeToken(id)
    return AdminResponse.json(200, ["id": .string(id.description), "revoked": true])
  }

  private static func token(_ record: JoinTokenRecord, isGood: Bool) -> [JSONValue.Member] {
    [
      JSONValue.Member("id", .string(record.id.description)),
      JSONValue.Member("status", isGood ? "active" : "expired"),
      JSONValue.Member("created_at", .string(record.created.iso8601)),
      JSONValue.Member("expires_at", .string(record.expires.iso8601)),
      JSONValue.Member("uses", AdminResponse.number(record.uses)),
      JSONValue.Member("used", .integer(Int64(record.usedCount))),
      JSONValue.Member("server_id", JSONValue(record.server?.description)),
    ]
  }
}
