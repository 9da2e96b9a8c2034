import Access
import Base
import HTTPServer
import Metadata
import Runtime

extension AdminService {
  /// `keys` and what is below it.
  func keys(_ call: AdminCall) async throws -> HTTPResponse {
    switch (call.method, call.path.count) {
    case (.get, 1): return try await listKeys(call)
    case (.post, 1): return try await createKey(call)
    case (.delete, 2):
      try await access.revokeKey(call.path[1])
      return AdminResponse.json(200, ["access_key": .string(call.path[1]), "revoked": true])
    default: throw AdminError(404, "not_found", "there is no such resource or method")
    }
  }

  private func listKeys(_ call: AdminCall) async throws -> HTTPResponse {
    let keys = try await access.accessKeys(user: call.parameter("user"))
    let names = Dictionary(
      try await access.users().map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
    let now = clock.now
    return AdminResponse.json(
      200,
      [
        "keys": .array(
          keys.map { key in
            [
              "access_key": .string(key.id), "user": JSONValue(names[key.user]),
              "note": .string(key.note), "status": .string(Self.status(key, now)),
              "expires_at": AdminResponse.time(key.expires),
              "created_at": .string(key.created.iso8601),
            ]
          })
      ])
  }

  private func createKey(_ call: AdminCall) async throws -> HTTPResponse {
    try call.allow(["user", "access_key", "secret_key", "note", "expires_at"])
    let id = try call.text("access_key")
    let secret = try call.text("secret_key")
    guard (id == nil) == (secret == nil) else {
      throw AdminError.badRequest("access_key and secret_key are given together or not at all")
    }
    let expires = try call.timestamp("expires_at")
    if let expires, expires <= clock.now {
      throw AdminError.badRequest("expires_at has passed already")
    }
    let key = try await access.createKey(
      user: try call.required("user"), id: id, secret: secret, note: try call.text("note") ?? "",
      expires: expires)
    return AdminResponse.json(
      201,
      [
        "access_key": .string(key.id), "secret_key": .string(key.secret),
        "user": .string(key.user.name), "expires_at": AdminResponse.time(expires),
      ])
  }

  private static func status(_ key: AccessKey, _ now: Timestamp) -> String {
    if key.isRevoked { return "revoked" }
    return key.expires.map { $0 <= now } ?? false ? "expired" : "active"
  }
}
