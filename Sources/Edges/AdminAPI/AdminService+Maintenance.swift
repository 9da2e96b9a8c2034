import Base
import HTTPServer
import Metadata
import ObjectEngine
import Runtime
import Telemetry

extension AdminService {
  /// `GET` and `POST scrub`: how far it is, having started it or not.
  func scrub(starting: Bool) async throws -> HTTPResponse {
    guard let scrubbing = providers.scrubbing else { throw AdminError.notProvided("scrub") }
    if starting { try await scrubbing.startScrub() }
    let progress = await scrubbing.scrubProgress()
    let (state, reason): (String, String?) =
      switch progress.state {
      case .idle: ("idle", nil)
      case .running: ("running", nil)
      case .finished: ("finished", nil)
      case .failed(let reason): ("failed", reason)
      }
    return AdminResponse.json(
      starting ? 202 : 200,
      [
        "state": .string(state), "reason": JSONValue(reason),
        "started_at": AdminResponse.time(progress.started),
        "finished_at": AdminResponse.time(progress.finished),
        "extents": AdminResponse.number(progress.extents),
        "total_extents": AdminResponse.number(progress.totalExtents),
        "chunks": AdminResponse.number(progress.chunks),
        "missing_chunks": AdminResponse.number(progress.missingChunks),
        "corrupt_chunks": AdminResponse.number(progress.corruptChunks),
        "unreachable_chunks": AdminResponse.number(progress.unreachableChunks),
        "repaired_chunks": AdminResponse.number(progress.repairedChunks),
        "unrepaired_chunks": AdminResponse.number(progress.unrepairedChunks),
        "unreadable_extents": AdminResponse.number(progress.unreadableExtents),
        "inline_objects": AdminResponse.number(progress.inlineObjects),
        "corrupt_inline_objects": AdminResponse.number(progress.corruptInlineObjects),
        "clean": .bool(progress.isClean),
      ])
  }

  /// `GET workers`.
  func workers() async throws -> HTTPResponse {
    guard let reporting = providers.workers else {
      throw AdminError.notProvided("background workers")
    }
    let workers = await reporting.workers()
    return AdminResponse.json(
      200,
      [
        "workers": .array(
          workers.map { worker in
            [
              "name": .string(worker.name), "state": .string(worker.state),
              "last_run_at": AdminResponse.time(worker.lastRun),
              "runs": AdminResponse.number(worker.runs),
              "failures": AdminResponse.number(worker.failures),
              "last_error": JSONValue(worker.lastError),
              "items_done": AdminResponse.number(worker.itemsDone),
              "detail": .string(worker.detail),
            ]
          })
      ])
  }

  /// `GET backup`: a consistent copy of the metadata, made now.
  func backup() async throws -> HTTPResponse {
    guard let provider = providers.backups else { throw AdminError.notProvided("backup") }
    let backup = try await provider.makeBackup()
    return HTTPResponse(
      status: 200, headers: [("Content-Type", "application/octet-stream")],
      body: .stream(length: backup.byteCount) { writer in
        defer { backup.close() }
        let buffer = AlignedBuffer(count: 256 << 10)
        while true {
          let count = try await backup.read(into: buffer)
          if count == 0 { return }
          try await writer.write(buffer, 0..<count)
        }
      })
  }

  /// `GET master-key`.
  func exportMasterKey() async throws -> HTTPResponse {
    guard let manager = providers.masterKey else { throw AdminError.notProvided("master key") }
    let text = try await manager.exportText()
    try await engine.metadata.setSetting(
      AdminSettings.masterKeyExported, Array(clock.now.iso8601.utf8))
    log.warning("the master key was exported")
    return AdminResponse.json(200, ["master_key": .string(text)])
  }

  /// `POST master-key/rotate`. The new key counts as not exported.
  func rotateMasterKey(_ call: AdminCall) async throws -> HTTPResponse {
    guard let manager = providers.masterKey else { throw AdminError.notProvided("master key") }
    try call.allow([])
    // First, so that the reminder to export is never lost.
    try await engine.metadata.setSetting(AdminSettings.masterKeyExported, [])
    try await manager.rotate()
    log.warning("the master key was rotated")
    return AdminResponse.json(200, ["rotated": true])
  }
}
