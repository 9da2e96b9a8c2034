import AdminAPI
import Base
import Runtime
import Signing
import Testing

/// Signs requests, rightly or in a way that a test wants.
struct AdminTestClient: Sendable {
  let port: UInt16
  var id: String
  var secret: String
  var clock: any WallClock
  var region = AdminSigning.region
  var service = AdminSigning.service
  var skewSeconds: Int64 = 0
  /// What the signature says of the body; the body's digest when nil.
  var payload: PayloadMode?

  func send(
    _ method: String, _ path: String, query: String = "", json: String? = nil,
    sending other: String? = nil
  ) async throws -> Answer {
    let body = Array((json ?? "").utf8)
    let signer = RequestSigner(
      accessKeyID: id, secretKey: secret, region: region, service: service)
    let target = "/admin/v1/\(path)"
    let signed = try signer.sign(
      method: method, rawPath: target, rawQuery: query, fields: [.init("host", "test")],
      payload: payload ?? AdminSigning.payload(body),
      now: clock.now.advanced(byMilliseconds: skewSeconds * 1000))
    let headers = signed.fields.dropFirst().map {
      (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self))
    }
    return try await FilesClient(port, bearer: nil).send(
      method, query.isEmpty ? target : "\(target)?\(query)", headers: headers,
      body: other.map { Array($0.utf8) } ?? (json == nil ? nil : body))
  }

  /// The answer's JSON; expects the status to be 200.
  func fetch(
    _ method: String, _ path: String, query: String = "", json: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> JSONValue {
    let answer = try await send(method, path, query: query, json: json)
    #expect(answer.status == 200, "\(answer.text)", sourceLocation: sourceLocation)
    return try #require(answer.json, sourceLocation: sourceLocation)
  }

  /// Expects a request to be refused with a status and a code.
  func expect(
    _ status: Int, _ code: String, _ method: String, _ path: String, query: String = "",
    json: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let answer = try await send(method, path, query: query, json: json)
    let what: Comment = "\(method) \(path) \(query) \(json ?? "") \(answer.text)"
    #expect(answer.status == status, what, sourceLocation: sourceLocation)
    #expect(answer.json?["error"]?.text == code, what, sourceLocation: sourceLocation)
    #expect(answer.json?["details"]?.text?.isEmpty == false, sourceLocation: sourceLocation)
  }
}
