import Base
import ChunkStore
import Erasure
import Metadata
import ObjectEngine
import Runtime
import Sealing

/// Reads snapshots of the metadata out of the stores.
struct SnapshotReader: Sendable {
  let engine: ObjectEngine
  let inventory: StoreInventory

  /// Puts a snapshot together of what its chunks say of themselves. Throws `noSnapshot` unless all
  /// of its parts are there.
  ///
  /// Where more than one was begun under its number, the one that can best be read counts, the
  /// newest of such.
  func assemble(_ number: UInt32) async throws -> (snapshot: StoredSnapshot, parts: [Extent]) {
    let beginnings = await labels(number, part: 0)
    guard !beginnings.isEmpty else {
      throw RebuildError.noSnapshot("no part 0 of snapshot \(number) is there and opens")
    }
    var best: (lost: Int, snapshot: StoredSnapshot, parts: [Extent])?
    var failure: (any Error)?
    for label in Set(beginnings.map(\.label.attempt)).sorted(by: { $1.started < $0.started }) {
      do {
        let found = try await assemble(number, label)
        let lost =
          found.parts.map { max(0, $0.missing.nonzeroBitCount - $0.parityCount) }.max() ?? 0
        if best.map({ lost < $0.lost }) ?? true { best = (lost, found.snapshot, found.parts) }
      } catch {
        failure = failure ?? error
      }
    }
    guard let best else { throw failure ?? RebuildError.noSnapshot("it has no parts") }
    return (best.snapshot, best.parts)
  }

  private func assemble(
    _ number: UInt32, _ attempt: SnapshotPartLabel.Attempt
  ) async throws -> (snapshot: StoredSnapshot, parts: [Extent]) {
    var parts: [Extent] = []
    while true {
      let index = parts.count
      guard let number16 = UInt16(exactly: index) else {
        throw RebuildError.noSnapshot("snapshot \(number) has no end")
      }
      let candidates = await labels(number, part: number16).filter {
        $0.label.attempt == attempt
      }
      guard let found = candidates.min(by: { Self.order($0.extent) < Self.order($1.extent) }) else {
        throw RebuildError.noSnapshot("part \(index) of snapshot \(number) is not there")
      }
      parts.append(found.extent)
      guard found.label.isLast else { continue }
      return (
        StoredSnapshot(
          number: number, isComplete: true, log: attempt.log, floor: attempt.floor,
          started: attempt.started, finished: attempt.started,
          bytes: parts.reduce(0) { $0 + $1.plaintextLength }, extents: parts.map(\.id)), parts
      )
    }
  }

  /// Those with the fewest chunks missing first.
  private static func order(_ extent: Extent) -> (Int, ExtentID) {
    (extent.missing.nonzeroBitCount, extent.id)
  }

  /// What is there of a part, and what it says of itself.
  private func labels(
    _ number: UInt32, part: UInt16
  ) async -> [(extent: Extent, label: SnapshotPartLabel)] {
    var result: [(extent: Extent, label: SnapshotPartLabel)] = []
    let candidates = inventory.snapshots[number]?[part] ?? [:]
    for (id, places) in candidates.sorted(by: { $0.key < $1.key }) {
      if let found = await label(id, places, number: number, part: Int(part)) {
        result.append(found)
      }
    }
    return result
  }

  /// Whether a snapshot was once complete: a chunk of its last part is there.
  func hasEnd(_ number: UInt32) async -> Bool {
    for (part, candidates) in inventory.snapshots[number] ?? [:] {
      for (id, places) in candidates {
        if let label = await label(id, places, number: number, part: Int(part))?.label,
          label.isLast
        {
          return true
        }
      }
    }
    return false
  }

  /// What the chunks of a part say of it.
  private func label(
    _ id: ExtentID, _ places: [Int: [StoreID]], number: UInt32, part: Int
  ) async -> (extent: Extent, label: SnapshotPartLabel)? {
    let stores = Dictionary(
      engine.stores.all.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    guard
      let witness = await ChunkWitness.ask(
        id, places: places, stores, cluster: engine.clusterID),
      let descriptor = try? witness.opened(engine.keys), descriptor.kind == .snapshot,
      descriptor.sequence == Int(number),
      let label = try? SnapshotPartLabel(decoding: descriptor.key), label.part == part
    else { return nil }
    return (witness.extent, label)
  }

  /// The parts with the digests of all their chunks: those that were not found are made out of the
  /// others, so that a repair can tell what they have to be. Throws `EngineError.unreadable` where
  /// too few are there.
  func completed(_ parts: [Extent]) async throws -> [Extent] {
    var result: [Extent] = []
    for var part in parts {
      if part.missing != 0 {
        let rebuild = try await engine.rebuild(
          part, chunks: part.missing, excluding: part.missing)
        defer { rebuild.close() }
        for stripe in 0..<rebuild.geometry.stripeCount {
          _ = try await rebuild.rebuild(stripe: stripe)
        }
        for (chunk, digest) in try rebuild.digests() { part.digests[chunk] = digest }
      }
      result.append(part)
    }
    return result
  }

  /// Reads all items in order. Throws what `body` throws, `EngineError`, and `noSnapshot` for
  /// content that is not whole.
  func read(
    _ parts: [Extent], _ body: (SnapshotItem) async throws -> Void
  ) async throws {
    var frames = SnapshotFrameReader()
    var hasHeader = false
    var rows = 0
    var announced: Int?
    for part in parts where part.plaintextLength > 0 {
      let read = try engine.read(part)
      try await read.stream { buffer, range in
        for item in try frames.add(buffer.bytes(range)) {
          switch item {
          case .header(let header):
            guard header.cluster == engine.clusterID, !hasHeader else {
              throw RebuildError.noSnapshot("it belongs to another installation")
            }
            hasHeader = true
          case .rows(_, let list): rows += list.count
          case .end(let count): announced = count
          case .mark: break
          }
          try await body(item)
        }
      }
    }
    guard hasHeader, frames.isAtBoundary, announced == rows else {
      throw RebuildError.noSnapshot("it is not whole")
    }
  }
}
