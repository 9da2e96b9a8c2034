import Access
import Base
import HTTPServer
import Metadata
import Recovery
import Runtime
import Telemetry

extension AdminService {
  /// Quarantined extents of one answer at most.
  private static let quarantinePage = 1000

  /// `recovery`, `recovery/snapshot`, `recovery/reconcile` and `recovery/quarantine…`.
  func recovery(_ call: AdminCall) async throws -> HTTPResponse {
    guard let recovery = providers.recovery else {
      throw AdminError.notProvided("metadata in the stores")
    }
    switch (call.method, call.path.count, call.path.dropFirst().first) {
    case (.get, 1, nil):
      return AdminResponse.json(200, Self.json(try await recovery.status(), now: clock.now))
    case (.post, 2, "snapshot"):
      return AdminResponse.json(200, Self.json(try await recovery.makeSnapshot()))
    case (.post, 2, "reconcile"):
      return AdminResponse.json(200, Self.json(try await recovery.reconcile()))
    case (.get, 2, "quarantine"): return try await quarantine(call, recovery)
    case (.post, 4, "quarantine") where call.path[3] == "adopt":
      return try await adopt(call, recovery)
    case (.delete, 3, "quarantine"):
      try await recovery.drop(try Self.extent(call.path[2]))
      return AdminResponse.json(200, ["dropped": .string(call.path[2])])
    default: throw AdminError(404, "not_found", "there is no such resource or method")
    }
  }

  private func quarantine(
    _ call: AdminCall, _ recovery: MetadataRecovery
  ) async throws -> HTTPResponse {
    let after = try call.parameter("after").map { try Self.extent($0) }
    let items = try await recovery.quarantined(after: after, limit: Self.quarantinePage)
    let next = items.count == Self.quarantinePage ? items.last?.id.description : nil
    return AdminResponse.json(
      200, ["extents": .array(items.map(Self.json)), "next": JSONValue(next)])
  }

  private func adopt(
    _ call: AdminCall, _ recovery: MetadataRecovery
  ) async throws -> HTTPResponse {
    try call.allow(["bucket", "key", "replace"])
    let made = try await recovery.adopt(
      try Self.extent(call.path[2]), bucket: try call.text("bucket"),
      key: try call.text("key").map { Array($0.utf8) },
      replacing: try call.text("replace") == "yes", tenant: call.identity.user.tenant)
    return AdminResponse.json(
      200,
      [
        "bucket": .string(made.bucket), "key": .string(String(decoding: made.key, as: UTF8.self)),
      ])
  }

  private static func extent(_ text: String) throws(AdminError) -> ExtentID {
    guard let id = ExtentID(hex: text) else {
      throw .badRequest("an extent is named by 32 hexadecimal digits")
    }
    return id
  }

  private static func json(_ item: QuarantinedExtent) -> JSONValue {
    let kinds = [1: "object", 2: "part", 3: "file", 4: "snapshot", 5: "change log"]
    return [
      "extent": .string(item.id.description), "kind": .string(kinds[item.kind] ?? "unknown"),
      "bucket": .string(item.bucket),
      "key": .string(String(decoding: item.key, as: UTF8.self)),
      "version": .string(item.version), "part": AdminResponse.number(item.partNumber),
      "size": .integer(item.size), "modified_at": AdminResponse.time(item.modified),
      "readable": .bool(item.isReadable),
      "chunks": AdminResponse.number(item.stores.count { $0 != nil }),
      "found_at": AdminResponse.time(item.found),
    ]
  }

  private static func json(_ snapshot: StoredSnapshot) -> JSONValue {
    [
      "number": .integer(Int64(snapshot.number)), "complete": .bool(snapshot.isComplete),
      "started_at": AdminResponse.time(snapshot.started),
      "finished_at": AdminResponse.time(snapshot.isComplete ? snapshot.finished : nil),
      "bytes": .integer(snapshot.bytes), "parts": AdminResponse.number(snapshot.extents.count),
      "position": .integer(snapshot.floor),
    ]
  }

  private static func json(_ report: ReconcileReport) -> JSONValue {
    [
      "chunks": AdminResponse.number(report.chunks),
      "extents": AdminResponse.number(report.extents),
      "quarantined": AdminResponse.number(report.quarantined),
      "moved": AdminResponse.number(report.moved),
      "missing": AdminResponse.number(report.missing),
      "absent_stores": AdminResponse.number(report.absentStores),
      "complete": .bool(report.isComplete),
    ]
  }

  static func json(_ status: RecoveryStatus, now: Timestamp) -> JSONValue {
    [
      "summary": .string(status.summary(now: now)),
      "log_in_force": .bool(status.isLogInForce),
      "log": changeLog(status.log),
      "pending_changes": .integer(status.pendingChanges),
      "snapshots": .array(status.snapshots.map { json($0) }),
      "last_snapshot_error": JSONValue(status.lastSnapshotError),
      "quarantined": .integer(status.quarantined),
      "key_copies": AdminResponse.number(status.keyCopies),
    ]
  }

  static func changeLog(_ log: ChangeLogStatus) -> JSONValue {
    [
      "on": .bool(log.isOn), "wanted_copies": AdminResponse.number(log.wantedCopies),
      "available_copies": AdminResponse.number(log.availableCopies),
      "last_copies": AdminResponse.number(log.lastCopies),
      "last_error": JSONValue(log.lastError), "warning": JSONValue(log.warning),
      "short_pieces": AdminResponse.number(log.shortPieces),
      "pieces": AdminResponse.number(log.pieces),
      "transactions": AdminResponse.number(log.records),
      "bytes": AdminResponse.number(log.bytes),
      "failed_groups": AdminResponse.number(log.failedGroups),
    ]
  }
}
