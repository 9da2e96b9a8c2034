import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime

/// A piece of the log that lies in fewer stores than it should.
struct ShortPiece: Hashable, Sendable {
  var chunk: ChunkID
  /// Where it lies.
  var places: [StoreID]
}

/// Makes up copies of pieces of the log that too few stores have.
///
/// Pieces never change and all copies are the same: whoever copies one does no harm, and one that
/// is needless by then goes with the next snapshot.
struct LogCompleter: Sendable {
  let engine: ObjectEngine
  let logStores: LogStores
  /// Stores that each piece should lie in.
  let copies: Int

  /// Copies as far as stores take them; returns the pieces that still have too few, with where they
  /// lie by then.
  @concurrent
  func complete(_ pieces: [ShortPiece]) async -> [ShortPiece] {
    var left: [ShortPiece] = []
    for piece in pieces {
      if let rest = await complete(piece) { left.append(rest) }
    }
    return left
  }

  /// Nil once enough stores have the piece, or none needs it any more.
  private func complete(_ piece: ShortPiece) async -> ShortPiece? {
    // A store that is gone for good is no place; one that is away keeps what it has.
    var places = piece.places.filter { engine.stores[$0] != nil }
    guard !places.isEmpty else { return nil }
    var candidates = logStores.ranked(preferring: [], key: piece.chunk.extent)
      .filter { !places.contains($0) }
    while places.count < copies {
      guard let target = logStores.pick(1, from: &candidates, beside: places).first,
        let store = engine.stores[target]
      else { return ShortPiece(chunk: piece.chunk, places: places) }
      switch await copy(piece.chunk, from: piece.places, to: store) {
      case .done: places.append(target)
      case .refused: continue
      case .unreadable: return ShortPiece(chunk: piece.chunk, places: places)
      case .gone: return nil
      }
    }
    return nil
  }

  private enum Outcome {
    case done
    case refused
    case unreadable
    /// No place has it: a snapshot has made it needless.
    case gone
  }

  private func copy(
    _ chunk: ChunkID, from places: [StoreID], to target: any ChunkStore
  ) async -> Outcome {
    var isGone = true
    for place in places {
      guard let source = engine.stores[place] else { continue }
      let read: (status: ChunkStatus, data: AlignedBuffer)
      do throws(ChunkStoreError) {
        read = try await engine.readSmall(chunk, from: source)
      } catch {
        if case .missing = error { continue }
        isGone = false
        continue
      }
      do throws(ChunkStoreError) {
        try await target.putSmall(
          read.status.header, data: read.data, range: 0..<read.status.trailer.dataLength,
          trailer: read.status.trailer, space: .reserve)
        return .done
      } catch {
        engine.stores.note(error, of: target.id)
        return .refused
      }
    }
    return isGone ? .gone : .unreadable
  }

  /// Pieces that a look at all stores in sight finds in too few of them.
  @concurrent
  func survey(above floor: Int64) async -> [ShortPiece] {
    let inventory = await StoreInventory.take(
      engine.stores.all.filter { logStores.isInSight($0.id) })
    return inventory.logPieces.compactMap { extent, places in
      guard case .changeLog(let last)? = SystemExtentID(extent), last > floor,
        places.count < copies
      else { return nil }
      return ShortPiece(chunk: ChunkID(extent: extent, index: 0), places: places)
    }.sorted { $0.chunk < $1.chunk }
  }
}

/// When the stores are to be looked through for pieces with too few copies: at the beginning and
/// whenever other stores are in sight, at once where none is away, else when it has stayed so.
struct LogSurvey: Sendable {
  /// The stores that were in sight at the last look; nil before the first.
  var done: Set<StoreID>?
  private var seen: Set<StoreID> = []
  private var since = Timestamp(milliseconds: 0)

  /// Takes note of the stores in sight, out of `count`.
  mutating func isDue(
    _ present: Set<StoreID>, of count: Int, now: Timestamp, delay: Duration
  ) -> Bool {
    if present != seen || now < since { (seen, since) = (present, now) }
    guard !present.isEmpty, present != done else { return false }
    let age = Duration.milliseconds(now.milliseconds - since.milliseconds)
    return present.count >= count || age >= delay
  }
}
