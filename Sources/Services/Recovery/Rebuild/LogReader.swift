import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Sealing

/// Reads the change log out of the stores.
struct LogReader: Sendable {
  /// Pieces that are read at a time.
  private static let width = 16

  let engine: ObjectEngine
  let inventory: StoreInventory
  /// The log that is read; pieces of others are passed over.
  let log: [UInt8]

  /// What could not be read.
  struct Losses: Sendable {
    var pieces = 0
    var groups = 0
  }

  private struct Group {
    var piece: LogPiece
    var fragments: [Int: [UInt8]] = [:]
  }

  /// Hands all records of pieces that reach behind `floor` to `body`, in no order, some perhaps
  /// more than once.
  func read(
    after floor: Int64, _ body: ([ChangeRecord]) async throws -> Void
  ) async throws -> Losses {
    let wanted = inventory.logPieces.filter { id, _ in
      guard case .changeLog(let last)? = SystemExtentID(id) else { return false }
      return last > floor
    }.sorted { $0.key < $1.key }
    var losses = Losses()
    var groups: [UInt64: Group] = [:]
    for start in stride(from: 0, to: wanted.count, by: Self.width) {
      let window = wanted[start..<min(start + Self.width, wanted.count)]
      for piece in await read(Array(window)) {
        guard let piece else {
          losses.pieces += 1
          continue
        }
        guard piece.log == log else { continue }
        var group = groups.removeValue(forKey: piece.group) ?? Group(piece: piece)
        group.fragments[piece.fragment] = piece.bytes
        guard group.fragments.count == piece.fragmentCount else {
          groups[piece.group] = group
          continue
        }
        let bytes = (0..<piece.fragmentCount).flatMap { group.fragments[$0] ?? [] }
        let records = try? LogPiece.records(
          of: bytes, isCompressed: piece.isCompressed, length: piece.groupLength)
        if let records { try await body(records) } else { losses.groups += 1 }
      }
    }
    losses.groups += groups.count
    return losses
  }

  private func read(
    _ pieces: [(key: ExtentID, value: [StoreID])]
  ) async -> [LogPiece?] {
    await withTaskGroup(of: LogPiece?.self) { group in
      for (id, places) in pieces {
        group.addTask(executorPreference: engine.pool) { await read(id, places) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
  }

  /// A piece out of whichever copy gives it.
  private func read(_ id: ExtentID, _ places: [StoreID]) async -> LogPiece? {
    for place in places {
      guard let store = engine.stores[place] else { continue }
      if let bytes = try? await plaintext(id, at: store),
        let piece = try? LogPiece(decoding: bytes)
      {
        return piece
      }
    }
    return nil
  }

  private func plaintext(_ id: ExtentID, at store: any ChunkStore) async throws -> [UInt8] {
    let reader = try await store.openChunk(ChunkID(extent: id, index: 0))
    defer { reader.close() }
    let trailer = reader.trailer
    guard trailer.dataLength > 0, trailer.dataLength <= ChunkLimits.smallDataLength,
      trailer.extentLength >= 0, trailer.extentLength <= ObjectEngine.maximumSealedLength,
      SegmentLayout.storedByteCount(plaintext: trailer.extentLength) <= trailer.dataLength
    else { throw FormatError("a piece of a strange length") }
    let opener = try engine.keys.opener(
      for: id, wrappedKey: WrappedExtentKey(trailer.wrappedKey))
    let buffer = AlignedBuffer(count: trailer.dataLength)
    try await reader.read(0..<trailer.dataLength, into: buffer, at: 0)
    let count = SegmentLayout.count(plaintext: trailer.extentLength)
    let stored = SegmentLayout.storedByteCount(plaintext: trailer.extentLength)
    var result: [UInt8] = []
    for index in 0..<count {
      let start = index * SegmentLayout.storedByteCount
      let end = min(start + SegmentLayout.storedByteCount, stored)
      result += try opener.open(
        buffer.bytes(start..<end), index: UInt64(index), isLast: index == count - 1)
    }
    return result
  }
}
