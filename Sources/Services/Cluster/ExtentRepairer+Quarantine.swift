import Base
import ChunkStore
import Erasure
import Metadata
import ObjectEngine
import Placement
import Runtime
import Synchronization
import Telemetry

/// Chunks in quarantine: no extent's row names them, but the record of the quarantine does.
extension ExtentRepairer {
  /// Sees to a chunk in quarantine that another store should have: true when another one has it, good
  /// and durable, and the record names that one. Then this copy is for `remove`.
  ///
  /// Where the record names another store that does not have it, it comes to name this one; what
  /// lies in a store that is being emptied moves to another. False where it stays for now.
  func settle(
    _ chunk: ChunkID, at store: any ChunkStore, isLeaving: Bool, _ metadata: any MembershipStore
  ) async throws -> Bool {
    let (id, index) = (chunk.extent, Int(chunk.index))
    guard mayRepair, running.withLock({ $0.insert(id).inserted }) else { return false }
    defer { running.withLock { _ = $0.remove(id) } }
    let write = engine.writes.begin(at: engine.clock.now)
    defer { engine.writes.end(write) }
    guard case .quarantined(let places)? = try await metadata.standings(of: [id])[id],
      places.indices.contains(index)
    else { return false }
    let named = places[index]
    if let named, named != store.id {
      switch await holds(chunk, named, as: store) {
      case true?: return true
      case nil: return false
      case false?: break
      }
    }
    guard isLeaving else {
      guard named != store.id, (try? await store.verify(chunk)) != nil else { return false }
      _ = try await metadata.moveQuarantined(id, chunk: chunk.index, from: named, to: store.id)
      return false
    }
    guard let target = try await copy(chunk, from: store, siblings: places) else { return false }
    CrashPoint.reach(.repairChunkWritten)
    // When this throws it may have been recorded: the next walk finds either copy.
    let isRecorded = try await metadata.moveQuarantined(
      id, chunk: chunk.index, from: named, to: target)
    if !isRecorded { try await withdraw(chunk, at: target, metadata) }
    return isRecorded
  }

  /// Copies a chunk that nothing names to another store; true when one has it, durable and good.
  func copyAway(_ chunk: ChunkID, from store: any ChunkStore) async throws -> Bool {
    guard mayRepair, running.withLock({ $0.insert(chunk.extent).inserted }) else { return false }
    defer { running.withLock { _ = $0.remove(chunk.extent) } }
    let write = engine.writes.begin(at: engine.clock.now)
    defer { engine.writes.end(write) }
    return try await copy(chunk, from: store, siblings: []) != nil
  }

  /// Whether the copy of a chunk in quarantine may go: the record names another store, and that one
  /// has it.
  func isKept(_ former: MovedChunk, at named: StoreID?) async throws -> Bool {
    guard let named, named != former.formerStore, let store = engine.stores[former.formerStore]
    else { return false }
    return await holds(former.chunk, named, as: store) == true
  }

  /// Whether `other` has the same chunk, good; nil where that is not known now. A store that does
  /// not count any more has none.
  private func holds(
    _ chunk: ChunkID, _ other: StoreID, as store: any ChunkStore
  ) async -> Bool? {
    guard let owner = engine.stores[other] else { return false }
    switch engine.stores.ring.node(other)?.state {
    case .active, .draining: break
    case .inactive, nil: return false
    }
    guard engine.stores.state(of: other) != .offline else { return nil }
    let there: ChunkStatus
    do throws(ChunkStoreError) {
      there = try await owner.stat(chunk)
      try await owner.verify(chunk)
    } catch {
      switch error {
      case .missing, .corrupt: return false
      case .offline, .full, .fenced, .tooLarge, .io: return nil
      }
    }
    do throws(ChunkStoreError) {
      return try await store.stat(chunk).trailer.sha256 == there.trailer.sha256 ? true : nil
    } catch {
      guard case .corrupt = error else { return nil }
      return true
    }
  }

  /// Writes a chunk to another store, if it is not there yet; out of its siblings where it is bad.
  /// Returns the store once the chunk is durable there, nil where that is not possible now.
  private func copy(
    _ chunk: ChunkID, from store: any ChunkStore, siblings: [StoreID?]
  ) async throws -> StoreID? {
    let index = Int(chunk.index)
    let status: ChunkStatus
    do throws(ChunkStoreError) {
      status = try await store.stat(chunk)
    } catch {
      stays(chunk, at: store, "\(error)")
      return nil
    }
    let scheme = status.header.scheme
    guard index < scheme.total, scheme.total <= 32, status.header.cluster == engine.clusterID else {
      stays(chunk, at: store, "it is none of this installation")
      return nil
    }
    let places = (0..<scheme.total).map { siblings.indices.contains($0) ? siblings[$0] : nil }
    guard let target = place(chunk, from: store.id, places, scheme) else {
      stays(chunk, at: store, "no other store takes it")
      return nil
    }
    if await holds(chunk, target, as: store) == true { return target }
    var digests = [SHA256Digest?](repeating: nil, count: scheme.total)
    digests[index] = status.trailer.sha256
    var reason = "it cannot be copied"
    for isAlone in [true, false] {
      if !isAlone { await ask(places, chunk, &digests) }
      guard let extent = Self.extent(status, at: store.id, places, digests) else { return nil }
      var job = RepairJob(extent: extent, wanted: 1 << UInt32(index))
      job.targets = [index: target]
      job.isMove = true
      let outcome = try await make(&job)
      if job.written[index] == target {
        formerCopies.remove([MovedChunk(chunk: chunk, formerStore: target)])
        return target
      }
      reason = outcome.map { "\($0)" } ?? job.obstacle ?? reason
      // A target that refuses is no reason to make it out of others.
      guard outcome != nil else { break }
    }
    stays(chunk, at: store, reason)
    return nil
  }

  private func stays(_ chunk: ChunkID, at store: any ChunkStore, _ reason: String) {
    log.warning(
      "a chunk that no object has cannot be moved: its store is not emptied yet",
      [("chunk", "\(chunk)"), ("store", "\(store.id)"), ("reason", "\(reason)")])
  }

  /// A store without siblings, or else the one whose server has the fewest.
  private func place(
    _ chunk: ChunkID, from store: StoreID, _ places: [StoreID?], _ scheme: ErasureScheme
  ) -> StoreID? {
    let others = places.enumerated().compactMap { $0 == Int(chunk.index) ? nil : $1 }
    if let alone = engine.stores.placeOne(chunk.extent, beside: others + [store]) { return alone }
    let ring = engine.stores.ring
    return engine.stores.placeDoubled(
      chunk.extent, beside: others.filter { ring.node($0)?.state == .active },
      limit: max(1, scheme.parity))
  }

  /// What the siblings say of themselves, those that answer.
  private func ask(
    _ places: [StoreID?], _ chunk: ChunkID, _ digests: inout [SHA256Digest?]
  ) async {
    for (index, place) in places.enumerated() where index != Int(chunk.index) {
      guard let place, let store = engine.stores[place], let number = UInt8(exactly: index),
        engine.stores.state(of: place) != .offline
      else { continue }
      let status = try? await store.stat(ChunkID(extent: chunk.extent, index: number))
      digests[index] = status?.trailer.sha256
    }
  }

  /// The row that the extent would have; a chunk without a digest counts as bad.
  private static func extent(
    _ status: ChunkStatus, at store: StoreID, _ places: [StoreID?], _ digests: [SHA256Digest?]
  ) -> Extent? {
    let none = SHA256Digest([UInt8](repeating: 0, count: SHA256Digest.byteCount))
    guard let none else { return nil }
    var stores = places.map { $0 ?? store }
    stores[Int(status.header.id.index)] = store
    return Extent(
      id: status.header.id.extent, dataCount: status.header.scheme.data,
      parityCount: status.header.scheme.parity,
      plaintextLength: Int64(clamping: status.trailer.extentLength), transform: 0,
      wrappedKey: status.trailer.wrappedKey, stores: stores, digests: digests.map { $0 ?? none })
  }

  /// Takes back a copy that could not be recorded, unless it is where it belongs by now.
  private func withdraw(
    _ chunk: ChunkID, at target: StoreID, _ metadata: any MembershipStore
  ) async throws {
    let (id, index) = (chunk.extent, Int(chunk.index))
    switch try await metadata.standings(of: [id])[id] ?? .unknown {
    case .owned(let stores), .dead(let stores):
      guard stores.indices.contains(index), stores[index] != target else { return }
    case .quarantined(let places):
      let copy = MovedChunk(chunk: chunk, formerStore: target)
      guard places.indices.contains(index), try await isKept(copy, at: places[index]) else {
        return
      }
    case .abandoned, .garbage, .orphaned, .unknown: break
    }
    await delete(chunk, at: target)
  }
}
