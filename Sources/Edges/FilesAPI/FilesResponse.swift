import Base
import HTTPServer
import Metadata

/// Makes answers.
enum FilesResponse {
  static let json = "application/json; charset=utf-8"

  static func json(_ status: Int, _ value: JSONValue) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: [("Content-Type", json)],
      body: .bytes(Array((value.encoded + "\n").utf8)))
  }

  static func error(_ error: FilesError, requestID: String) -> HTTPResponse {
    HTTPResponse(
      status: error.status,
      headers: [("Content-Type", json)] + error.headers.map { ($0.name, $0.value) },
      body: .bytes(
        errorBody(code: error.code, details: error.details, requestID: requestID)))
  }

  static func errorBody(code: String, details: String, requestID: String) -> [UInt8] {
    let value: JSONValue = [
      "error": .string(code), "details": .string(details), "request_id": .string(requestID),
    ]
    return Array((value.encoded + "\n").utf8)
  }

  /// What keeps a browser from running anything that was uploaded.
  static func securityHeaders(isTLS: Bool) -> [(name: String, value: String)] {
    [
      ("X-Content-Type-Options", "nosniff"),
      ("Content-Security-Policy", "sandbox; default-src 'none'"),
      ("X-Frame-Options", "DENY"),
    ] + (isTLS ? [("Strict-Transport-Security", "max-age=31536000")] : [])
  }

  /// A file as answers show it.
  static func file(_ record: FileRecord) -> [JSONValue.Member] {
    [
      .init("id", .string(record.id.description)),
      .init("name", .string(record.name)),
      .init("size", .integer(record.size)),
      .init("sha256", JSONValue(record.sha256?.description)),
      .init("content_type", .string(record.contentType)),
      .init("status", .string(record.state.name)),
      .init("created_at", .string(record.created.iso8601)),
      .init("updated_at", .string(record.updated.iso8601)),
    ]
  }
}
