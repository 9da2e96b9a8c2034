import Base
import HTTPServer

/// Makes answers.
enum AdminResponse {
  static let json = "application/json; charset=utf-8"

  static func json(_ status: Int, _ value: JSONValue) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: [("Content-Type", json)],
      body: .bytes(Array((value.encoded + "\n").utf8)))
  }

  static func error(_ error: AdminError, requestID: String) -> HTTPResponse {
    var response = HTTPResponse(
      status: error.status, headers: [("Content-Type", json)],
      body: .bytes(
        errorBody(code: error.code, details: error.details, requestID: requestID)))
    if error.status == 503 { response.headers.append(("Retry-After", "5")) }
    return response
  }

  static func errorBody(code: String, details: String, requestID: String) -> [UInt8] {
    let value: JSONValue = [
      "error": .string(code), "details": .string(details), "request_id": .string(requestID),
    ]
    return Array((value.encoded + "\n").utf8)
  }

  /// A moment, or `null`.
  static func time(_ time: Timestamp?) -> JSONValue { JSONValue(time?.iso8601) }

  /// A count, or `null`.
  static func number(_ number: Int?) -> JSONValue {
    number.map { .integer(Int64($0)) } ?? .null
  }
}
