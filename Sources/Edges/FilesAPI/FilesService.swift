public import Access
import Base
public import HTTPServer
import Metadata
public import ObjectEngine
public import Runtime
public import Telemetry

/// The Files API: files by id, over the object engine (see `docs/openapi.yaml`).
///
/// A file is an object with the key `<file id>/<name>` in its user's files bucket. May be used
/// from any task.
public final class FilesService: Sendable {
  let engine: ObjectEngine
  let access: AccessControl
  let configuration: FilesConfiguration
  let random: any RandomSource
  let log: Log
  private let health: @Sendable () -> ServiceHealth

  /// Serves the files of `engine` to the users of `access`; `health` is asked at every request for
  /// `/health`.
  public init(
    engine: ObjectEngine, access: AccessControl, configuration: FilesConfiguration,
    random: any RandomSource, log: Log, health: @escaping @Sendable () -> ServiceHealth
  ) {
    self.engine = engine
    self.access = access
    self.configuration = configuration
    self.random = random
    self.log = log.named("files")
    self.health = health
  }

  /// Answers a request: an `HTTPHandler`. Throws only when the client has gone.
  public func handle(_ request: HTTPRequest) async throws -> HTTPResponse {
    let requestID = Hex.encode(random.bytes(8))
    var response: HTTPResponse
    do {
      response = try await answer(request)
    } catch {
      guard let known = FilesError(error) else { throw error }
      if known.status >= 500 {
        log.error(
          "a request failed",
          [("request_id", requestID), ("status", "\(known.status)"), ("error", "\(error)")])
      }
      response = FilesResponse.error(known, requestID: requestID)
    }
    response.headers += FilesResponse.securityHeaders(isTLS: request.isTLS)
    response.headers.append(("X-Request-Id", requestID))
    log.debug(
      "request",
      [
        ("request_id", requestID), ("method", "\(request.head.method)"),
        ("path", String(decoding: request.head.path.prefix(256), as: UTF8.self)),
        ("status", "\(response.status)"),
      ])
    return response
  }

  /// The body of answers that the HTTP server gives by itself: an `HTTPListener.errorBody`.
  public static func errorBody(
    status: Int, reason: String
  ) -> (body: [UInt8], contentType: String) {
    let code = status >= 500 ? "internal_error" : "invalid_request"
    return (
      FilesResponse.errorBody(code: code, details: reason, requestID: ""), FilesResponse.json
    )
  }

  private func answer(_ request: HTTPRequest) async throws -> HTTPResponse {
    let route = FilesRoute(path: request.head.path)
    // Strangers learn nothing, not even which paths and methods there are.
    let identity = route.isPublic ? nil : try await authenticate(request.head)
    guard route.methods.isEmpty || route.methods.contains(request.head.method) else {
      throw FilesError.methodNotAllowed(
        route.methods.map(\.description).joined(separator: ", "))
    }
    switch route {
    case .health: return healthResponse()
    case .document:
      return HTTPResponse(
        status: 200, headers: [("Content-Type", "application/yaml")],
        body: .bytes(OpenAPIDocument.bytes))
    case .unknown, .unknownFile: throw FilesError(404, "not_found", "there is no such resource")
    case .malformedID: throw FilesError.badRequest("a file id has 32 hexadecimal digits")
    case .files, .file, .metadata: break
    }
    guard let identity else { throw FilesError.unauthorized }
    switch (route, request.head.method) {
    case (.files, .post): return try await upload(request, identity)
    case (.files, _): return try await list(request.head, identity)
    case (.file(let id), .delete): return try await delete(id, identity)
    case (.file(let id), _): return try await download(id, request.head, identity)
    case (.metadata(let id), _): return try await describe(id, identity)
    default: throw FilesError.notFound
    }
  }

  private func healthResponse() -> HTTPResponse {
    let (status, word, details): (Int, String, String?) =
      switch health() {
      case .ready: (200, "ok", nil)
      case .starting: (503, "starting", nil)
      case .draining: (503, "draining", nil)
      case .unavailable(let reason): (503, "unavailable", reason)
      }
    var members: [JSONValue.Member] = [
      .init("status", .string(word)), .init("version", .string(configuration.version)),
    ]
    if let details { members.append(.init("details", .string(details))) }
    var response = FilesResponse.json(status, .object(members))
    if status == 503 { response.headers.append(("Retry-After", "5")) }
    response.headers.append(("Cache-Control", "no-store"))
    return response
  }
}
