import Base
import ChunkStore
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
  func assemble(_ number: UInt32) async throws -> (snapshot: StoredSnapshot, parts: [Extent]) {
    let found = inventory.snapshots[number] ?? [:]
    var parts: [Extent] = []
    var first: SnapshotPartLabel?
    while true {
      let index = parts.count
      guard let number16 = UInt16(exactly: index), let candidates = found[number16] else {
        throw RebuildError.noSnapshot("snapshot \(number) has no part \(index)")
      }
      var label: SnapshotPartLabel?
      for (id, places) in candidates where label == nil {
        guard let found = await self.label(id, places, number: number, part: index) else {
          continue
        }
        label = found.label
        parts.append(found.extent)
      }
      guard let label else {
        throw RebuildError.noSnapshot("part \(index) of snapshot \(number) does not open")
      }
      let begun = first ?? label
      first = begun
      guard label.isLast else { continue }
      return (
        StoredSnapshot(
          number: number, isComplete: true, log: begun.log, floor: begun.floor,
          started: begun.started, finished: begun.started,
          bytes: parts.reduce(0) { $0 + $1.plaintextLength }, extents: parts.map(\.id)), parts
      )
    }
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
