import Base
import Metadata
import ObjectEngine
import Telemetry

extension ScrubWorker {
  /// Verifies all chunks of an extent; what is bad is queued, and made again in a scrub that was
  /// asked for.
  func verify(_ listed: Extent, _ pass: inout Pass) async throws {
    var extent = listed
    var verdicts = await inspect(extent, atOnce: pass.isRequested)
    // Bad chunks count only if the row still names them: the extent may have been deleted, or a
    // chunk been moved, while they were looked at.
    var attempts = 0
    while verdicts.contains(where: \.isBad), attempts < 3 {
      guard let current = try await engine.metadata.extent(extent.id) else { return }
      if current.generation == extent.generation { break }
      extent = current
      verdicts = await inspect(extent, atOnce: pass.isRequested)
      attempts += 1
    }
    pass.report.extents += 1
    let bad = tally(verdicts, &pass.report)
    guard bad != 0 else {
      let good = verdicts.count { if case .good = $0 { true } else { false } }
      if good < extent.dataCount { pass.report.unreadableExtents += 1 }
      return
    }
    log.warning(
      "bad chunks found", [("extent", "\(extent.id)"), ("chunks", "\(bad.bits)")])
    try await engine.metadata.queueRepair(extent.id, chunks: bad, reason: "found by a scrub")
    guard pass.isRequested else { return }
    guard repairer.mayRepair else {
      pass.report.unrepaired += bad.nonzeroBitCount
      return
    }
    try await repair(extent, bad, &pass.report)
  }

  private func tally(_ verdicts: [ChunkVerdict], _ report: inout ScrubReport) -> UInt32 {
    var bad: UInt32 = 0
    for (index, verdict) in verdicts.enumerated() {
      if verdict.isBad { bad |= 1 << UInt32(index) }
      switch verdict {
      case .good(let bytes):
        report.goodChunks += 1
        report.bytes += bytes
      case .missing: report.missing += 1
      case .corrupt: report.corrupt += 1
      case .unreachable: report.unreachable += 1
      }
    }
    return bad
  }

  private func repair(
    _ extent: Extent, _ bad: UInt32, _ report: inout ScrubReport
  ) async throws {
    let count = bad.nonzeroBitCount
    switch try await repairer.repair(extent.id, chunks: bad) {
    case .repaired:
      report.repaired += count
    case .incomplete(let chunks, _):
      report.repaired += chunks.nonzeroBitCount
      report.unrepaired += count - chunks.nonzeroBitCount
    case .gone:
      break
    case .unreadable:
      report.unreadableExtents += 1
      report.unrepaired += count
    case .superseded, .refused, .busy:
      report.unrepaired += count
    }
  }
}
