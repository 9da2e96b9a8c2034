import Base
import Metadata
public import ObjectEngine
import Runtime
import Synchronization
public import Telemetry

/// Ends uploads that nobody goes on with.
///
/// Sessions of the Files API that did not change for an hour are marked failed, and what they may
/// have stored is deleted. Multipart uploads of S3 are kept, as S3 does, unless an age is set.
public final class UploadCleanupWorker: BackgroundWorker {
  /// Uploads handled by one step.
  static let batch = 64

  /// `upload-cleanup`.
  public let name = "upload-cleanup"
  private let engine: ObjectEngine
  private let idleMilliseconds: Int64
  private let multipartMilliseconds: Int64?
  private let interval: Duration
  private let log: Log
  private let count = ProgressCell()

  /// Ends sessions idle for `sessionIdle`, and multipart uploads older than `multipartAge` if one
  /// is given.
  public init(
    engine: ObjectEngine, sessionIdle: Duration = .seconds(3600), multipartAge: Duration? = nil,
    interval: Duration = .seconds(300), log: Log
  ) {
    self.engine = engine
    idleMilliseconds = max(0, sessionIdle.wholeMilliseconds)
    multipartMilliseconds = multipartAge.map { max(0, $0.wholeMilliseconds) }
    self.interval = interval
    self.log = log.named("upload-cleanup")
  }

  /// Items are uploads ended.
  public var progress: WorkerProgress { count.value }

  /// Handles a batch of sessions and of uploads.
  public func step() async throws -> StepOutcome {
    let now = try await engine.metadata.now()
    let before = now.advanced(byMilliseconds: -idleMilliseconds)
    let stale = try await engine.metadata.staleFiles(before: before, limit: Self.batch)
    var ended = 0
    for file in stale where try await end(file, before: before) { ended += 1 }
    var isFull = stale.count == Self.batch
    if let multipartMilliseconds {
      let uploads = try await engine.metadata.staleUploads(
        before: now.advanced(byMilliseconds: -multipartMilliseconds), limit: Self.batch)
      for upload in uploads where try await end(upload) { ended += 1 }
      isFull = isFull || uploads.count == Self.batch
    }
    count.add(ended)
    return isFull && ended > 0 ? .busy : .idle(nextAfter: interval)
  }

  /// Marks a session failed and deletes its object; false when it turns out to be alive.
  private func end(_ file: FileRecord, before: Timestamp) async throws -> Bool {
    let metadata = engine.metadata
    if let bucket = try await metadata.bucket(file.bucket) {
      let found = try await metadata.lookUp(
        bucket: bucket.name, tenant: bucket.tenant, key: file.objectKey, versionID: nil,
        withContent: false)
      if let version = found.version, !version.isDeleteMarker {
        // Stored only lately: its session is about to be completed.
        guard version.lastModified < before else { return false }
        do {
          _ = try await engine.delete(
            bucket: bucket.id, key: file.objectKey, condition: .version(version.number))
        } catch EngineError.metadata(.preconditionFailed) {
          return false
        }
      }
    }
    CrashPoint.reach(.uploadCleanupDeleted)
    do {
      try await metadata.updateFile(file.id, state: .failed, size: 0, sha256: nil)
    } catch MetadataError.notFound {
      return true
    }
    log.info("an abandoned upload was ended", [("file", "\(file.id)")])
    return true
  }

  private func end(_ upload: MultipartUpload) async throws -> Bool {
    do {
      try await engine.metadata.abort(upload.id, bucket: upload.bucket, key: upload.key)
      return true
    } catch MetadataError.noSuchUpload {
      return false
    }
  }
}
