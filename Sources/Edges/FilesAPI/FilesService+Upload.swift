import Access
import Base
import Checksums
import HTTPServer
import Metadata
import ObjectEngine
import Runtime
import Telemetry

extension FilesService {
  /// What a form may add to its file, for judging a Content-Length.
  private static let formOverhead: Int64 = 1 << 20

  /// `POST /files`.
  func upload(_ request: HTTPRequest, _ identity: Identity) async throws -> HTTPResponse {
    guard request.head.fields.count(of: "content-type") == 1,
      let type = request.head.value(of: "content-type")
    else { throw FilesError.badRequest("the body must be multipart/form-data") }
    let boundary = try FormBoundary(contentType: type)
    if let length = request.body.contentLength,
      Int64(length) > configuration.maximumFileSize + Self.formOverhead
    {
      throw FilesError.tooLarge(configuration.maximumFileSize)
    }
    let body = request.body
    let form = FormReader(boundary: boundary) { buffer, offset, count in
      try await body.read(into: buffer, at: offset, count: count)
    }
    let fields = UploadForm(form, configuration)
    let part = try await fields.findFile()
    guard let sentName = part.fileName else {
      throw FilesError.badRequest("the field file has no file name")
    }
    let name = try FileName.validated(sentName)
    let bucket = try await filesBucket(of: identity.user)
    let record = try await begin(name: name, type: part.contentType, bucket, identity)
    let stored: FileRecord
    do {
      stored = try await store(record, bucket, fields)
    } catch {
      await settle(record, after: error)
      throw error
    }
    var response = FilesResponse.json(201, .object(FilesResponse.file(stored)))
    response.headers.append(("Location", "/files/\(stored.id)"))
    return response
  }

  private func begin(
    name: String, type: String?, _ bucket: Bucket, _ identity: Identity
  ) async throws -> FileRecord {
    guard let id = FileID(bytes: random.bytes(16)) else { throw FilesError.internalError }
    let now = engine.clock.now
    let record = FileRecord(
      id: id, user: identity.user.id, bucket: bucket.id, name: name, state: .pending, size: 0,
      contentType: type ?? "application/octet-stream", sha256: nil, created: now, updated: now)
    try await engine.metadata.createFile(record)
    return record
  }

  /// Writes the content; the file is complete when this returns.
  private func store(
    _ record: FileRecord, _ bucket: Bucket, _ form: UploadForm
  ) async throws -> FileRecord {
    let source = UploadSource(
      form, metadata: engine.metadata, file: record.id,
      touchMilliseconds: configuration.touchMilliseconds)
    let result = try await engine.put(
      PutRequest(
        bucket: bucket, key: record.objectKey,
        attributes: ObjectAttributes(
          headers: [.init(name: "content-type", value: record.contentType)]),
        owner: record.user, condition: .absent, algorithms: [.sha256], allowsInline: false,
        maximumSize: configuration.maximumFileSize),
      from: source)
    guard let digest = result.digests.checksum(.sha256).flatMap({ SHA256Digest($0.bytes) }) else {
      throw FilesError.internalError
    }
    var stored = record
    stored.state = .completed
    stored.size = result.digests.size
    stored.sha256 = digest
    stored.updated = engine.clock.now
    let metadata = engine.metadata
    try await Self.uncancelled { [stored] in
      try await metadata.updateFile(
        stored.id, state: .completed, size: stored.size, sha256: stored.sha256)
    }
    return stored
  }

  /// Leaves nothing of an upload that failed but the record that it did.
  ///
  /// Where it is not known whether something was committed, all stays for the clean-up of
  /// abandoned uploads, which looks again later.
  private func settle(_ record: FileRecord, after error: any Error) async {
    switch error {
    case EngineError.metadata(.unknownOutcome), MetadataError.unknownOutcome: return
    default: break
    }
    let engine = engine
    do {
      try await Self.uncancelled {
        // The object is there when only the last step failed.
        _ = try await engine.delete(bucket: record.bucket, key: record.objectKey)
        try await engine.metadata.updateFile(record.id, state: .failed, size: 0, sha256: nil)
      }
    } catch {
      log.warning(
        "a failed upload is left to the clean-up",
        [("file", record.id.description), ("error", "\(error)")])
    }
  }

  /// Runs `body` to its end although the client may have gone and this task be cancelled.
  private static func uncancelled(_ body: @escaping @Sendable () async throws -> Void) async throws
  {
    try await Task { try await body() }.value
  }
}
