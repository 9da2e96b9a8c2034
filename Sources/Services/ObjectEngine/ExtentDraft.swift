import Base
import ChunkStore
import Erasure
import Metadata
import Sealing

/// An extent that is being written: its names, keys and places.
struct ExtentDraft: Sendable {
  let sealer: ExtentSealer
  let scheme: ErasureScheme
  let clusterID: ClusterID
  /// Which store takes which chunk, by chunk index.
  var stores: [StoreID]

  var id: ExtentID { sealer.extent }

  func header(_ index: Int) -> ChunkHeader {
    ChunkHeader(
      id: ChunkID(extent: id, index: UInt8(index)), scheme: scheme, cluster: clusterID)
  }

  /// The row of the extent, once its chunks are durable but for those in `missing`.
  func row(_ trailers: [ChunkTrailer], plaintextLength: Int64, missing: UInt32) -> Extent {
    Extent(
      id: id, dataCount: scheme.data, parityCount: scheme.parity,
      plaintextLength: plaintextLength, transform: 0, wrappedKey: sealer.wrappedKey.bytes,
      stores: stores,
      digests: trailers.map(\.sha256), missing: missing)
  }
}
