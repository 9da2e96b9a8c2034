import Base
import HTTPServer
import Metadata
import ObjectEngine
import Runtime
import S3Wire
import Signing

extension S3Service {
  func deleteObject(_ call: S3Call) async throws -> HTTPResponse {
    let bucket = try await bucket(call)
    try Self.refuseGuards(call)
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

  /// Throws for a guard that is not honoured here: what a client wants deleted only under a
  /// condition stays. S3 knows these guards for directory buckets only.
  static func refuseGuards(_ call: S3Call) throws(S3Error) {
    for name in [
      "x-amz-if-match-size", "x-amz-if-match-last-modified-time", "x-amz-if-match-initiated-time",
    ] where call.headers.contains(name) {
      throw .notImplemented(header: name)
    }
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

extension S3Service {
  /// Deletes of one request that run at a time: together they fill a commit batch.
  private static let concurrentDeletes = 64

  func deleteObjects(_ call: S3Call) async throws -> HTTPResponse {
    let bucket = try await bucket(call)
    try Self.requireDigest(call)
    let body = try DeleteObjectsBody(try await document(call))
    var outcomes: [S3Response.DeleteOutcome] = []
    outcomes.reserveCapacity(body.entries.count)
    var start = 0
    while start < body.entries.count {
      let end = min(start + Self.concurrentDeletes, body.entries.count)
      outcomes += await deleteAll(body.entries[start..<end], in: bucket)
      start = end
      if start < body.entries.count { CrashPoint.reach(.deleteObjectsPartly) }
    }
    CrashPoint.reach(.deleteObjectsCommitted)
    return Self.xml(S3Response.deleteObjects(outcomes, isQuiet: body.isQuiet))
  }

  /// What is deleted must be what was asked for: a body that no digest covers is refused.
  private static func requireDigest(_ call: S3Call) throws(S3Error) {
    let headers = try ChecksumHeaders(call.headers)
    if headers.contentMD5 != nil || headers.declared != nil || headers.trailerAlgorithm != nil {
      return
    }
    guard call.signed.payload == .unsigned else { return }
    throw S3Error(
      .invalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
  }

  private func deleteAll(
    _ entries: ArraySlice<DeleteObjectsBody.Entry>, in bucket: Bucket
  ) async -> [S3Response.DeleteOutcome] {
    await withTaskGroup(of: (Int, S3Response.DeleteOutcome).self) { group in
      for (index, entry) in entries.enumerated() {
        group.addTask { (index, await self.delete(entry, in: bucket)) }
      }
      var outcomes: [Int: S3Response.DeleteOutcome] = [:]
      for await (index, outcome) in group { outcomes[index] = outcome }
      return (0..<entries.count).compactMap { outcomes[$0] }
    }
  }

  private func delete(
    _ entry: DeleteObjectsBody.Entry, in bucket: Bucket
  ) async -> S3Response.DeleteOutcome {
    do {
      let key = try entry.key().bytes
      guard entry.lastModified == nil, entry.size == nil else {
        throw S3Error(.notImplemented)
      }
      if let id = entry.versionID { try Self.checkVersionID(id) }
      let condition: WriteCondition =
        switch entry.etag {
        case nil: .none
        case "*": .exists
        case .some(let etag): .matches(etag: etag)
        }
      let result = try await engine.delete(
        bucket: bucket.id, key: key, versionID: entry.versionID, condition: condition)
      return .deleted(
        key: key, versionID: entry.versionID, isDeleteMarker: result.isDeleteMarker,
        markerVersionID: result.isDeleteMarker ? result.versionID : nil)
    } catch {
      return .failed(key: entry.rawKey, versionID: entry.versionID, s3Error(error))
    }
  }
}
