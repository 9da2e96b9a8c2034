import Access
import Base
import HTTPServer
import Metadata
import ObjectEngine

extension FilesService {
  /// The file of that id, if the identity may see it: its user may, and administrators.
  func file(_ id: FileID, _ identity: Identity) async throws -> FileRecord {
    guard let record = try await engine.metadata.file(id),
      record.user == identity.user.id || identity.isAdministrator
    else { throw FilesError.notFound }
    return record
  }

  /// The current version behind a file that is complete.
  func version(of record: FileRecord) async throws -> ObjectVersion {
    guard record.state == .completed else {
      throw FilesError(409, "upload_incomplete", "the upload is \(record.state.name)")
    }
    guard let bucket = try await engine.metadata.bucket(record.bucket),
      let version = try await engine.metadata.lookUp(
        bucket: bucket.name, tenant: bucket.tenant, key: record.objectKey, versionID: nil,
        withContent: true
      ).version, !version.isDeleteMarker
    else { throw FilesError.notFound }
    return version
  }

  /// `GET` and `HEAD /files/{id}`.
  func download(
    _ id: FileID, _ head: HTTPRequestHead, _ identity: Identity
  ) async throws -> HTTPResponse {
    let record = try await file(id, identity)
    let version = try await version(of: record)
    let etag = "\"\(record.sha256?.description ?? version.etag)\""
    let validators: [(name: String, value: String)] = [
      ("ETag", etag), ("Last-Modified", version.lastModified.httpDate),
      ("Accept-Ranges", "bytes"),
    ]
    let conditions = DownloadConditions(head.fields)
    switch conditions.evaluate(etag: etag, lastModified: version.lastModified) {
    case .proceed: break
    case .notModified: return HTTPResponse(status: 304, headers: validators)
    case .preconditionFailed:
      throw FilesError(412, "precondition_failed", "a condition of the request does not hold")
    }
    var headers = validators
    headers.append(("Content-Type", record.contentType))
    headers.append(("Content-Disposition", ContentDisposition.attachment(record.name)))
    if head.method == .head {
      headers.append(("Content-Length", "\(version.size)"))
      return HTTPResponse(status: 200, headers: headers)
    }
    var range = 0..<version.size
    var status = 200
    if let asked = head.value(of: "range").flatMap({ ByteRange($0) }),
      head.fields.count(of: "range") == 1,
      conditions.allowsRange(etag: etag, lastModified: version.lastModified)
    {
      guard let resolved = asked.resolve(size: version.size) else {
        throw FilesError(
          416, "range_not_satisfiable", "the file has none of the bytes asked for",
          headers: [.init(name: "Content-Range", value: "bytes */\(version.size)")])
      }
      range = resolved
      status = 206
      headers.append(
        ("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(version.size)"))
    }
    return HTTPResponse(status: status, headers: headers, body: try await body(version, range))
  }

  /// The content of a range; its beginning has been read when this returns.
  private func body(
    _ version: ObjectVersion, _ range: Range<Int64>
  ) async throws -> HTTPResponse.Body {
    if range.isEmpty { return .bytes([]) }
    if version.extentCount == 0 {
      let content = try engine.inlineContent(version)
      return .bytes(Array(content[Int(range.lowerBound)..<Int(range.upperBound)]))
    }
    let read = ReadInProgress(try await engine.read(version, range))
    return .stream(length: range.count) { writer in
      try await read.read.stream { buffer, piece in try await writer.write(buffer, piece) }
    }
  }
}

/// Hands a read from the handler to the one closure that streams it.
private struct ReadInProgress: @unchecked Sendable {
  // `ObjectRead` is used by one task at a time: the handler has let go of it before the response's
  // body runs, which the server does at most once.
  let read: ObjectRead

  init(_ read: ObjectRead) {
    self.read = read
  }
}
