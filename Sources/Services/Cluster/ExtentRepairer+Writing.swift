import Base
import ChunkStore
import Erasure
import Metadata
import ObjectEngine
import Runtime
import Telemetry

extension ExtentRepairer {
  /// Makes all stripes and writes the chunks to their targets; those that fail lose their target.
  ///
  /// Nothing becomes visible before every chunk has proved to be what was written. Throws
  /// `unreadable`, `corrupt`, `CancellationError`.
  func write(_ rebuild: ChunkRebuild, _ job: inout RepairJob) async throws {
    if rebuild.isSmall { return try await writeSmall(rebuild, &job) }
    var writers: [Int: any ChunkWriter] = [:]
    do {
      for index in rebuild.wanted { writers[index] = await begin(index, rebuild, &job) }
      for stripe in 0..<rebuild.geometry.stripeCount where !writers.isEmpty {
        for (index, range) in try await rebuild.rebuild(stripe: stripe) {
          guard let writer = writers[index] else { continue }
          do throws(ChunkStoreError) {
            try await writer.append(rebuild.memory, range)
          } catch {
            await writer.abort()
            writers[index] = nil
            fail(index, error, &job)
          }
        }
        try await DutyCycle.current?.rest()
      }
      guard !writers.isEmpty else { return }
      for (index, trailer) in try rebuild.trailers() {
        guard let writer = writers.removeValue(forKey: index) else { continue }
        do throws(ChunkStoreError) {
          try await writer.finish(trailer)
          succeed(index, &job)
        } catch {
          await writer.abort()
          fail(index, error, &job)
        }
      }
    } catch {
      for index in writers.keys.sorted() { await writers[index]?.abort() }
      throw error
    }
  }

  private func writeSmall(_ rebuild: ChunkRebuild, _ job: inout RepairJob) async throws {
    let blocks = try await rebuild.rebuild(stripe: 0)
    for ((index, range), (_, trailer)) in zip(blocks, try rebuild.trailers()) {
      do throws(ChunkStoreError) {
        guard let id = job.targets[index], let store = engine.stores[id] else {
          throw .offline("unknown store")
        }
        try await store.putSmall(
          rebuild.header(index), data: rebuild.memory, range: range, trailer: trailer)
        succeed(index, &job)
      } catch {
        fail(index, error, &job)
      }
    }
  }

  private func begin(
    _ index: Int, _ rebuild: ChunkRebuild, _ job: inout RepairJob
  ) async -> (any ChunkWriter)? {
    do throws(ChunkStoreError) {
      guard let id = job.targets[index], let store = engine.stores[id] else {
        throw .offline("unknown store")
      }
      return try await store.beginChunk(rebuild.header(index))
    } catch {
      fail(index, error, &job)
      return nil
    }
  }

  private func succeed(_ index: Int, _ job: inout RepairJob) {
    job.written[index] = job.targets.removeValue(forKey: index)
  }

  private func fail(_ index: Int, _ error: ChunkStoreError, _ job: inout RepairJob) {
    guard let store = job.targets.removeValue(forKey: index) else { return }
    // The next attempt goes elsewhere if the store takes no more writes.
    engine.stores.note(error, of: store)
    job.obstacle = "chunk \(index): \(error)"
    log.warning(
      "a chunk could not be written again",
      [
        ("extent", "\(job.extent.id)"), ("chunk", "\(index)"), ("store", "\(store)"),
        ("error", "\(error)"),
      ])
  }

  /// Takes back what was written and cannot be recorded, unless the extent's row, as it is by now,
  /// says that it belongs there.
  func withdraw(_ job: RepairJob) async {
    let current: Extent?
    do { current = try await engine.metadata.extent(job.extent.id) } catch { return }
    for (index, store) in job.written.sorted(by: { $0.key < $1.key }) {
      if let current, current.stores.indices.contains(index), current.stores[index] == store {
        continue
      }
      await delete(ChunkID(extent: job.extent.id, index: UInt8(index)), at: store)
    }
  }

  /// Removes bad chunks that lie now, good, in another store.
  func removeReplaced(_ job: RepairJob) async {
    for (index, store) in job.written.sorted(by: { $0.key < $1.key })
    where store != job.extent.stores[index] && job.corrupt & 1 << UInt32(index) != 0 {
      await delete(
        ChunkID(extent: job.extent.id, index: UInt8(index)), at: job.extent.stores[index])
    }
  }

  /// Deletes a chunk where it does not belong. Where its store does not do that now, it is a former
  /// copy that waits for it.
  func delete(_ chunk: ChunkID, at id: StoreID) async {
    guard let store = engine.stores[id] else { return }
    do throws(ChunkStoreError) {
      // It would be waited for at every chunk, in vain.
      guard engine.stores.state(of: id) != .offline else { throw .offline("not asked") }
      try await store.deleteLed([chunk])
    } catch {
      formerCopies.beginTerm()
      if formerCopies.postpone(MovedChunk(chunk: chunk, formerStore: id)) { return }
      // Found when the store is compared.
      log.warning(
        "a chunk that nothing names stays in its store",
        [("chunk", "\(chunk)"), ("store", "\(id)"), ("error", "\(error)")])
    }
  }
}
