public import Access
import Base
public import HTTPServer
import Metadata
public import ObjectEngine
public import Runtime
import Signing
public import Telemetry

/// The Admin API: everything below `/admin/v1/`, for administrators (see `docs/admin.md`).
///
/// May be used from any task.
public final class AdminService: Sendable {
  let engine: ObjectEngine
  let access: AccessControl
  let providers: AdminProviders
  let clock: any WallClock
  let random: any RandomSource
  let log: Log
  let verifier = SignatureVerifier(region: AdminSigning.region, service: AdminSigning.service)

  /// Serves the administrators of `access`.
  public init(
    engine: ObjectEngine, access: AccessControl, providers: AdminProviders,
    random: any RandomSource, log: Log
  ) {
    self.engine = engine
    self.access = access
    self.providers = providers
    clock = engine.clock
    self.random = random
    self.log = log.named("admin")
  }

  /// Answers a request: an `HTTPHandler`. Throws only when the client has gone.
  public func handle(_ request: HTTPRequest) async throws -> HTTPResponse {
    let requestID = Hex.encode(random.bytes(8))
    var response: HTTPResponse
    do {
      response = try await answer(request, requestID)
    } catch {
      guard let known = AdminError(error) else { throw error }
      if known.status >= 500 {
        log.error(
          "a request failed",
          [("request_id", requestID), ("status", "\(known.status)"), ("error", "\(error)")])
      }
      response = AdminResponse.error(known, requestID: requestID)
    }
    response.headers += [
      ("X-Request-Id", requestID), ("X-Content-Type-Options", "nosniff"),
      ("X-Frame-Options", "DENY"), ("Cache-Control", "no-store"),
      ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ]
    return response
  }

  /// The body of answers that the HTTP server gives by itself: an `HTTPListener.errorBody`.
  public static func errorBody(
    status: Int, reason: String
  ) -> (body: [UInt8], contentType: String) {
    let code = status >= 500 ? "internal_error" : "invalid_request"
    return (
      AdminResponse.errorBody(code: code, details: reason, requestID: ""), AdminResponse.json
    )
  }

  private func answer(_ request: HTTPRequest, _ requestID: String) async throws -> HTTPResponse {
    if request.head.path.starts(with: "/cluster/".utf8) { return try await enrol(request) }
    guard request.head.path.starts(with: "/admin/v1/".utf8) else {
      throw AdminError(404, "not_found", "the Admin API is below /admin/v1/")
    }
    let (identity, body) = try await authenticate(request)
    let call = try AdminCall(request.head, body: body, identity: identity)
    if call.method != .get {
      log.info(
        "an administrator acts",
        [
          ("request_id", requestID), ("user", identity.user.name), ("method", "\(call.method)"),
          ("path", String(decoding: request.head.path.prefix(256), as: UTF8.self)),
        ])
    }
    return try await dispatch(call)
  }

  private func dispatch(_ call: AdminCall) async throws -> HTTPResponse {
    switch (call.method, call.path.count, call.path.first) {
    case (.get, 1, "status"): return try await status()
    case (_, _, "users"): return try await users(call)
    case (_, _, "keys"): return try await keys(call)
    case (.get, 1, "scrub"): return try await scrub(starting: false)
    case (.post, 1, "scrub"): return try await scrub(starting: true)
    case (.get, 1, "workers"): return try await workers()
    case (_, _, "recovery"): return try await recovery(call)
    case (.get, 1, "backup"): return try await backup()
    case (.get, 1, "master-key"): return try await exportMasterKey()
    case (.post, 2, "master-key") where call.path[1] == "rotate":
      return try await rotateMasterKey(call)
    case (_, _, "cluster"): return try await cluster(call)
    case (_, _, "servers"), (_, _, "stores"): return try await servers(call)
    default: throw AdminError(404, "not_found", "there is no such resource or method")
    }
  }
}
