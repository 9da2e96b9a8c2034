import Base
import ChunkStore
import Erasure
import Metadata
import Runtime
import Sealing

/// What the stores hold of the system itself, and how far writers have come.
struct StoreInventory: Sendable {
  /// Names that one call asks for.
  static let pageSize = 4096

  /// Where the chunks of the parts of snapshots lie, by snapshot, part and extent.
  var snapshots: [UInt32: [UInt16: [ExtentID: [Int: [StoreID]]]]] = [:]
  /// Where the pieces of the log lie.
  var logPieces: [ExtentID: [StoreID]] = [:]
  /// The highest epoch of any extent of a writer.
  var highestEpoch: UInt64 = 0
  /// All chunks.
  var chunkCount = 0
  /// Stores that could not be listed to their end.
  var unlisted: [StoreID] = []

  /// Lists all stores. What a store that fails holds is not in it.
  @concurrent
  static func take(_ stores: [any ChunkStore]) async -> StoreInventory {
    var result = StoreInventory()
    for store in stores {
      var position: ChunkListPosition?
      do throws(ChunkStoreError) {
        repeat {
          let page = try await store.list(from: position, limit: pageSize)
          for chunk in page.chunks { result.add(chunk, at: store.id) }
          position = page.next
        } while position != nil
      } catch {
        result.unlisted.append(store.id)
      }
    }
    return result
  }

  private mutating func add(_ chunk: ChunkID, at store: StoreID) {
    chunkCount += 1
    switch SystemExtentID(chunk.extent) {
    case .snapshot(let number, let part):
      snapshots[number, default: [:]][part, default: [:]][chunk.extent, default: [:]][
        Int(chunk.index), default: []
      ].append(store)
    case .changeLog: logPieces[chunk.extent, default: []].append(store)
    case .keys: break
    case nil:
      if !SystemExtentID.isReserved(chunk.extent) {
        highestEpoch = max(highestEpoch, chunk.extent.epoch)
      }
    }
  }
}

/// Makes the row of an extent out of what its chunks say.
struct ChunkWitness: Sendable {
  /// The row, its `missing` the chunks that were not found.
  var extent: Extent
  /// The sealed descriptor.
  var descriptor: [UInt8]

  /// Asks the chunks at these places, by chunk index; nil when none of them answers or when those
  /// that do contradict each other.
  @concurrent
  static func ask(
    _ id: ExtentID, places: [Int: [StoreID]], _ stores: [StoreID: any ChunkStore],
    cluster: ClusterID
  ) async -> ChunkWitness? {
    var found: [Int: (store: StoreID, status: ChunkStatus)] = [:]
    for (index, candidates) in places.sorted(by: { $0.key < $1.key }) {
      guard let number = UInt8(exactly: index) else { continue }
      for candidate in candidates where found[index] == nil {
        guard let store = stores[candidate] else { continue }
        let status = try? await store.stat(ChunkID(extent: id, index: number))
        if let status, status.header.cluster == cluster { found[index] = (candidate, status) }
      }
    }
    // The description that most chunks share; a chunk that lies is outvoted, and read as bad.
    var votes: [Claim: Int] = [:]
    for entry in found.values { votes[Claim(entry.status), default: 0] += 1 }
    guard let claim = votes.max(by: { $0.value < $1.value })?.key,
      let some = found.values.first(where: { Claim($0.status) == claim })
    else { return nil }
    let total = claim.scheme.total
    let nowhere = SHA256Digest([UInt8](repeating: 0, count: SHA256Digest.byteCount))
    guard let nowhere, total <= 32 else { return nil }
    var stores: [StoreID] = []
    var digests: [SHA256Digest] = []
    var missing: UInt32 = 0
    for index in 0..<total {
      if let entry = found[index], Claim(entry.status) == claim {
        stores.append(entry.store)
        digests.append(entry.status.trailer.sha256)
      } else {
        stores.append(some.store)
        digests.append(nowhere)
        missing |= 1 << UInt32(index)
      }
    }
    return ChunkWitness(
      extent: Extent(
        id: id, dataCount: claim.scheme.data, parityCount: claim.scheme.parity,
        plaintextLength: Int64(claim.plaintextLength), transform: 0,
        wrappedKey: claim.wrappedKey, stores: stores, digests: digests, missing: missing),
      descriptor: claim.descriptor)
  }

  private struct Claim: Hashable {
    var scheme: ErasureScheme
    var plaintextLength: Int
    var wrappedKey: [UInt8]
    var descriptor: [UInt8]

    init(_ status: ChunkStatus) {
      scheme = status.header.scheme
      plaintextLength = status.trailer.extentLength
      wrappedKey = status.trailer.wrappedKey
      descriptor = status.trailer.descriptor
    }
  }

  /// The descriptor in the clear. Throws `SealingError` or `FormatError`.
  func opened(_ keys: KeyRing) throws -> ExtentDescriptor {
    try keys.openDescriptor(
      descriptor, of: extent.id, wrappedKey: WrappedExtentKey(extent.wrappedKey))
  }
}
