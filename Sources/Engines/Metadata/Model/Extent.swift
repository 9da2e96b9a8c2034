public import Base

/// An extent as its row says: all that is needed to read it.
public struct Extent: Hashable, Sendable {
  /// The id.
  public var id: ExtentID
  /// Data blocks of a stripe.
  public var dataCount: Int
  /// Parity blocks of a stripe.
  public var parityCount: Int
  /// Bytes before sealing (after the transform, when there is one).
  public var plaintextLength: Int64
  /// The transform before sealing: 0 none, 1 zstd.
  public var transform: UInt8
  /// The extent key, wrapped.
  public var wrappedKey: [UInt8]
  /// Which store holds which chunk: one entry for each chunk, by chunk index.
  public var stores: [StoreID]
  /// Raised each time a chunk moves.
  public var generation: Int64
  /// The SHA-256 of each chunk, by chunk index.
  public var digests: [SHA256Digest]
  /// Chunks that are known not to be there, a bit for each index: queued for repair.
  public var missing: UInt32
  /// Whether its chunks share servers or zones more than the ring would have them, since stores were
  /// away. Written with the extent; not read back.
  public var awaitsSpread = false

  /// Makes an extent of its fields.
  public init(
    id: ExtentID, dataCount: Int, parityCount: Int, plaintextLength: Int64, transform: UInt8,
    wrappedKey: [UInt8], stores: [StoreID], generation: Int64 = 0, digests: [SHA256Digest],
    missing: UInt32 = 0
  ) {
    self.id = id
    self.dataCount = dataCount
    self.parityCount = parityCount
    self.plaintextLength = plaintextLength
    self.transform = transform
    self.wrappedKey = wrappedKey
    self.stores = stores
    self.generation = generation
    self.digests = digests
    self.missing = missing
  }
}

/// Where an extent lies in its object.
public struct ExtentLink: Hashable, Sendable {
  /// The place among the object's extents, from 0.
  public var ordinal: Int
  /// The first byte of the object that it holds.
  public var offset: Int64
  /// How many bytes of the object it holds.
  public var length: Int64
  /// The part of a multipart object that it holds; 0 for another.
  public var partNumber: Int
  /// The checksum of the part, when it has one.
  public var checksum: StoredChecksum?
  /// The extent.
  public var extent: Extent

  /// Makes a link of its fields.
  public init(
    ordinal: Int, offset: Int64, length: Int64, partNumber: Int,
    checksum: StoredChecksum? = nil, extent: Extent
  ) {
    self.ordinal = ordinal
    self.offset = offset
    self.length = length
    self.partNumber = partNumber
    self.checksum = checksum
    self.extent = extent
  }
}

/// An extent that no version owns any more; its chunks go when the delay is over.
public struct Tombstone: Hashable, Sendable {
  /// The extent.
  public var extent: ExtentID
  /// Which store holds which chunk.
  public var stores: [StoreID]
  /// Stores that have not confirmed yet, a bit for each chunk index.
  public var unconfirmed: UInt32
  /// When its owner was deleted: reads that began before may still need it.
  public var created: Timestamp

  /// Makes a tombstone of its fields.
  public init(extent: ExtentID, stores: [StoreID], unconfirmed: UInt32, created: Timestamp) {
    self.extent = extent
    self.stores = stores
    self.unconfirmed = unconfirmed
    self.created = created
  }
}

/// An extent with chunks to be made again.
public struct RepairItem: Hashable, Sendable {
  /// The extent.
  public var extent: Extent
  /// The chunks to be made, a bit for each index.
  public var chunks: UInt32
  /// Why, for the operator.
  public var reason: String
  /// How often it was tried.
  public var attempts: Int

  /// Makes an item of its fields.
  public init(extent: Extent, chunks: UInt32, reason: String, attempts: Int) {
    self.extent = extent
    self.chunks = chunks
    self.reason = reason
    self.attempts = attempts
  }
}

/// Chunks of an extent that were made again, or moved.
public struct FinishedRepair: Hashable, Sendable {
  /// The extent.
  public var extent: ExtentID
  /// The chunks that are there by now, a bit for each index.
  public var chunks: UInt32
  /// Where all of its chunks lie.
  public var stores: [StoreID]
  /// The generation of the row that this goes by.
  public var generation: Int64
  /// See `Extent`.
  public var awaitsSpread: Bool

  /// Makes a record of its fields.
  public init(
    _ extent: ExtentID, chunks: UInt32, stores: [StoreID], generation: Int64,
    awaitsSpread: Bool = false
  ) {
    self.extent = extent
    self.chunks = chunks
    self.stores = stores
    self.generation = generation
    self.awaitsSpread = awaitsSpread
  }
}
