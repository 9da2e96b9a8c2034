import Base
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire

extension S3Service {
  func deleteObject(_ call: S3Call) async throws -> HTTPResponse {
    let bucket = try await bucket(call)
    let versionID = try call.query.text("versionId")
    if let versionID { try Self.checkVersionID(versionID) }
    let condition = try Self.writeCondition(call)
    guard condition != .absent else { throw S3Error.notImplemented(header: "If-None-Match") }
    let result = try await engine.delete(
      bucket: bucket.id, key: try call.key(), versionID: versionID, condition: condition)
    var headers: [(name: String, value: String)] = []
    if let id = result.versionID { headers.append(("x-amz-version-id", id)) }
    if result.isDeleteMarker { headers.append(("x-amz-delete-marker", "true")) }
    return HTTPResponse(status: 204, headers: headers)
  }

  /// The condition that a write carries.
  static func writeCondition(_ call: S3Call) throws(S3Error) -> WriteCondition {
    switch try WriteConditions(call.headers) {
    case .none: .none
    case .absent: .absent
    case .present: .exists
    case .matches(let etag): .matches(etag: etag)
    }
  }
}
