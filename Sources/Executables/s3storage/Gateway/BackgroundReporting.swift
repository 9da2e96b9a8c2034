import AdminAPI
import Base
import Cluster

/// The background work as the Admin API tells of it.
struct BackgroundReporting: WorkerReporting, Scrubbing {
  let work: BackgroundWork

  func workers() async -> [WorkerStatus] {
    work.supervisor.statuses.map { status in
      WorkerStatus(
        name: status.name, state: status.activity.rawValue, lastRun: status.lastRun,
        runs: status.runs, failures: status.errors, lastError: status.lastError,
        itemsDone: status.progress.itemsDone, detail: status.progress.detail)
    }
  }

  func startScrub() async throws { work.scrub.request() }

  func scrubProgress() async -> ScrubProgress {
    let report = work.scrub.report
    var progress = ScrubProgress()
    switch report.state {
    case .none: progress.state = .idle
    case .running: progress.state = .running
    case .finished: progress.state = .finished
    case .failed(let reason): progress.state = .failed(reason)
    }
    progress.started = report.started
    progress.finished = report.finished
    progress.extents = report.extents
    progress.totalExtents = report.totalExtents
    progress.chunks = report.chunks
    progress.missingChunks = report.missing
    progress.corruptChunks = report.corrupt
    progress.unreachableChunks = report.unreachable
    progress.repairedChunks = report.repaired
    progress.unrepairedChunks = report.unrepaired
    progress.unreadableExtents = report.unreadableExtents
    progress.inlineObjects = report.inlineObjects
    progress.corruptInlineObjects = report.corruptInlineObjects
    return progress
  }
}
