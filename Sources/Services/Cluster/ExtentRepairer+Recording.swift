import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime

extension ExtentRepairer {
  /// Records what is there of each, under the generations that the repairs began with.
  func record(_ jobs: [RepairJob]) async throws -> [RepairOutcome] {
    let repairs = jobs.compactMap { finished($0) }
    if !repairs.isEmpty { CrashPoint.reach(.repairChunkWritten) }
    // When this throws it may have been recorded: what was written stays, the next repair finds it.
    let recorded = try await engine.metadata.finishRepairs(repairs)
    let standing = Dictionary(
      zip(repairs.map(\.extent), recorded), uniquingKeysWith: { first, _ in first })
    var outcomes: [RepairOutcome] = []
    for job in jobs {
      switch standing[job.extent.id] {
      case nil:
        outcomes.append(
          .incomplete(repaired: 0, reason: job.obstacle ?? "nothing could be written"))
      case false?:
        await withdraw(job)
        outcomes.append(.superseded)
      case true?:
        await removeReplaced(job)
        outcomes.append(
          job.done == job.wanted
            ? .repaired(chunks: job.done)
            : .incomplete(repaired: job.done, reason: job.obstacle ?? "not all could be written"))
      }
    }
    return outcomes
  }

  /// What is to be recorded of a repair, nil for nothing.
  private func finished(_ job: RepairJob) -> FinishedRepair? {
    guard job.done != 0 else { return nil }
    var stores = job.extent.stores
    for (index, store) in job.written { stores[index] = store }
    // Where they belong from here on they are no former copies, and do not become due as such.
    formerCopies.remove(
      Set(
        job.written.map {
          MovedChunk(
            chunk: ChunkID(extent: job.extent.id, index: UInt8($0.key)), formerStore: $0.value)
        }))
    return FinishedRepair(
      job.extent.id, chunks: job.done, stores: stores, generation: job.extent.generation,
      awaitsSpread: engine.stores.awaitsSpread(job.extent, at: stores))
  }
}
