import Base
import ChunkStore
import Erasure
public import Metadata
public import ObjectEngine

/// What a look at one chunk came to.
public enum ChunkVerdict: Hashable, Sendable {
  /// It is what was written: so many bytes of data.
  case good(bytes: Int)
  /// Its store does not have it.
  case missing
  /// It is not what was written, or cannot be read.
  case corrupt(String)
  /// Its store does not answer: nothing is known of it.
  case unreachable(String)

  /// Whether the chunk is to be made again.
  public var isBad: Bool {
    switch self {
    case .missing, .corrupt: true
    case .good, .unreachable: false
    }
  }
}

/// Compares chunks with what the metadata says of them.
public struct ChunkInspector: Sendable {
  private let engine: ObjectEngine

  /// Inspects the stores of `engine`.
  public init(engine: ObjectEngine) {
    self.engine = engine
  }

  /// Reads all of a chunk at its store and checks it against its own checksums and against the
  /// SHA-256 of the extent's row. Runs on the caller's executor, which may block.
  ///
  /// A store that is known to be offline is not asked: it would be waited for at every chunk.
  ///
  /// Precondition: the extent has a chunk of that index.
  public func inspect(_ extent: Extent, chunk index: Int) async -> ChunkVerdict {
    let geometry: ExtentGeometry
    do { geometry = try ObjectEngine.geometry(of: extent) } catch {
      return .unreachable("the extent's row makes no sense")
    }
    guard let store = engine.stores[extent.stores[index]] else {
      return .unreachable("unknown store")
    }
    guard engine.stores.state(of: store.id) != .offline else {
      return .unreachable("its store is offline")
    }
    let id = ChunkID(extent: extent.id, index: UInt8(index))
    do throws(ChunkStoreError) {
      let status = try await store.stat(id)
      guard
        status.header
          == ChunkHeader(id: id, scheme: geometry.scheme, cluster: engine.clusterID),
        status.trailer.extentLength == geometry.plaintextLength,
        status.trailer.storedLength == geometry.storedLength,
        status.trailer.dataLength == geometry.chunkDataLength,
        status.trailer.sha256 == extent.digests[index]
      else { return .corrupt("the chunk is not the one that was written") }
      try await store.verify(id)
      return .good(bytes: status.trailer.dataLength)
    } catch {
      switch error {
      case .missing: return .missing
      case .corrupt(let reason), .tooLarge(let reason): return .corrupt(reason)
      // The store is there and does not give it: as good as lost.
      case .io(let reason): return .corrupt(reason)
      case .offline(let reason), .fenced(let reason): return .unreachable(reason)
      case .full: return .unreachable("store full")
      }
    }
  }
}

extension MaintenanceStore {
  /// The row of one extent as it is now; nil when there is none.
  func extent(_ id: ExtentID) async throws -> Extent? {
    guard let before = id.predecessor else { return nil }
    return try await extents(after: before, limit: 1).first { $0.id == id }
  }
}

extension ID128 {
  /// The largest identifier that is less; nil for the least.
  var predecessor: ID128? {
    if low > 0 { return ID128(high: high, low: low - 1) }
    return high > 0 ? ID128(high: high - 1, low: .max) : nil
  }
}
