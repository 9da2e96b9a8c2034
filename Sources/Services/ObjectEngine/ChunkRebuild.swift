public import Base
public import ChunkStore
public import Erasure
import ISAL
public import Metadata
public import Runtime

/// Makes chunks of an extent again, byte for byte, out of any k of its chunks, stripe by stripe.
///
/// It needs no key: parity is computed over what is sealed already. Each stripe takes its blocks
/// from whichever chunks give them, so that chunks that are bad in different places still suffice.
/// Used by one task at a time, on an executor that may block.
public final class ChunkRebuild: @unchecked Sendable {
  // `Sendable` so that it can be passed to the task that uses it.
  /// The extent, as its row was read.
  public let extent: Extent
  /// Where its bytes lie.
  public let geometry: ExtentGeometry
  /// The chunks to be made, ascending.
  public let wanted: [Int]
  /// Chunks that were found missing or corrupt while they were read, a bit for each index.
  public private(set) var badSources: UInt32 = 0
  /// Chunks that blocks were taken from, a bit for each index.
  public private(set) var usedSources: UInt32 = 0

  private let engine: ObjectEngine
  /// Gives up a store that hangs.
  private let calls: StoreCalls
  private let coder: StripeCoder
  private let order: [Int]
  /// Whether the wanted chunks are themselves read where they can be.
  private let isCopy: Bool
  private let blockStride: Int
  private let buffer: StripeBuffer
  private var digesters: [ChunkDigester]
  private var readers: [Int: any ChunkReader] = [:]
  private var unusable: UInt32
  private var description: ChunkTrailer?
  private var way: Reconstruction?

  fileprivate init(
    _ extent: Extent, _ geometry: ExtentGeometry, wanted: [Int], excluding: UInt32,
    isCopy: Bool, buffer: StripeBuffer, engine: ObjectEngine
  ) {
    self.isCopy = isCopy
    self.extent = extent
    self.geometry = geometry
    self.wanted = wanted
    self.engine = engine
    calls = StoreCalls(options: engine.configuration.faults, pool: engine.pool, quorum: 0)
    self.buffer = buffer
    coder = StripeCoder(scheme: geometry.scheme)
    // Others first: a chunk that is to be made again is asked only where they do not suffice.
    order = (0..<geometry.scheme.total).filter { !wanted.contains($0) } + wanted
    blockStride = Self.blockStride(geometry)
    unusable = excluding
    digesters = wanted.map { ChunkDigester(id: ChunkID(extent: extent.id, index: UInt8($0))) }
  }

  deinit { close() }

  /// The memory that `rebuild` fills.
  public var memory: AlignedBuffer { buffer.memory }

  /// Whether the chunks are records of a volume.
  public var isSmall: Bool { geometry.hasSmallChunks }

  /// What is known of a chunk before its data.
  public func header(_ index: Int) -> ChunkHeader {
    ChunkHeader(
      id: ChunkID(extent: extent.id, index: UInt8(index)), scheme: geometry.scheme,
      cluster: engine.clusterID)
  }

  /// Makes the wanted blocks of one stripe; each lies at its range of `memory` until the next call.
  ///
  /// Called for all stripes in order. Throws `EngineError.unreadable` when fewer than k chunks give
  /// their block of it.
  public func rebuild(stripe index: Int) async throws -> [(chunk: Int, range: Range<Int>)] {
    let stripe = geometry.stripe(index)
    if try await !copy(stripe) { try await make(stripe) }
    return zip(wanted, digesters).map { chunk, digester in
      let start = chunk * blockStride
      let range = start..<start + stripe.blockLength
      unsafe memory.withBytes(range) { unsafe digester.append($0) }
      memory.zero(range.upperBound..<start + ByteCount.roundUp(stripe.blockLength, to: 4096))
      return (chunk, range)
    }
  }

  /// Reads the wanted blocks themselves; false where that is not wanted or not possible.
  private func copy(_ stripe: Stripe) async throws -> Bool {
    guard isCopy else { return false }
    for chunk in wanted {
      try Task.checkCancellation()
      guard await readBlock(chunk, stripe) else { return false }
    }
    for chunk in wanted { usedSources |= 1 << UInt32(chunk) }
    return true
  }

  /// Makes the wanted blocks out of any k others.
  private func make(_ stripe: Stripe) async throws {
    let k = geometry.scheme.data
    var have: [Int] = []
    for chunk in order where have.count < k {
      try Task.checkCancellation()
      if await readBlock(chunk, stripe) { have.append(chunk) }
    }
    guard have.count == k else { throw EngineError.unreadable(available: have.count, needed: k) }
    for chunk in have { usedSources |= 1 << UInt32(chunk) }
    try reconstruct(have.sorted(), stripe)
  }

  /// The trailers of the wanted chunks, once all stripes were made: the same bytes as at first.
  ///
  /// Throws `EngineError.corrupt` unless each chunk has the SHA-256 of the extent's row: then
  /// nothing of it may be kept.
  public func trailers() throws(EngineError) -> [(chunk: Int, trailer: ChunkTrailer)] {
    let result = try made()
    guard result.allSatisfy({ $0.trailer.sha256 == extent.digests[$0.chunk] }) else {
      throw .corrupt
    }
    return result
  }

  /// The SHA-256 of the wanted chunks, once all stripes were made: for a row that does not know them
  /// yet. Throws `EngineError.corrupt` for chunks of another length than the row's.
  public func digests() throws(EngineError) -> [(chunk: Int, digest: SHA256Digest)] {
    try made().map { ($0.chunk, $0.trailer.sha256) }
  }

  private func made() throws(EngineError) -> [(chunk: Int, trailer: ChunkTrailer)] {
    guard let description else { throw .corrupt }
    var result: [(chunk: Int, trailer: ChunkTrailer)] = []
    for (chunk, digester) in zip(wanted, digesters) {
      let trailer = digester.finish(
        extentLength: geometry.plaintextLength, storedLength: geometry.storedLength,
        wrappedKey: description.wrappedKey, descriptor: description.descriptor)
      guard trailer.dataLength == geometry.chunkDataLength else { throw .corrupt }
      result.append((chunk, trailer))
    }
    return result
  }

  /// Lets go of the chunks that it reads.
  public func close() {
    for reader in readers.values { reader.close() }
    readers = [:]
  }

  fileprivate static func blockStride(_ geometry: ExtentGeometry) -> Int {
    ByteCount.roundUp(geometry.stripe(0).blockLength, to: 4096)
  }

  private func reconstruct(_ have: [Int], _ stripe: Stripe) throws {
    let missing = wanted.filter { !have.contains($0) }
    guard !missing.isEmpty else { return }
    let way: Reconstruction
    if let known = self.way, known.sources == have, known.wanted == missing {
      way = known
    } else {
      way = try coder.reconstruction(available: have, wanted: missing)
      self.way = way
    }
    try unsafe memory.withMutableBytes(0..<memory.count) { all in
      func block(_ chunk: Int) -> UnsafeMutableRawBufferPointer {
        let start = chunk * blockStride
        return unsafe UnsafeMutableRawBufferPointer(
          rebasing: all[start..<start + stripe.blockLength])
      }
      try unsafe way.reconstruct(
        from: way.sources.map { unsafe UnsafeRawBufferPointer(block($0)) },
        into: way.wanted.map { unsafe block($0) })
    }
  }

  /// Reads a chunk's block of a stripe to its place; false when the chunk does not give it.
  private func readBlock(_ chunk: Int, _ stripe: Stripe) async -> Bool {
    let bit: UInt32 = 1 << UInt32(chunk)
    guard unusable & bit == 0 else { return false }
    let isDistant = engine.stores[extent.stores[chunk]] is any CancellableChunkStore
    let errors = await calls.run(
      [chunk], distant: isDistant ? [chunk] : [], inline: isDistant ? [] : [chunk],
      isEnough: { _ in false }
    ) { [self] _ throws(ChunkStoreError) in
      let reader = try await reader(chunk)
      try await reader.read(stripe.chunkRange, into: memory, at: chunk * blockStride)
    }
    guard let error = errors[chunk] else { return true }
    // A chunk that opened may be good elsewhere; one that did not is not asked again.
    if readers[chunk] == nil { unusable |= bit }
    switch error {
    case .missing, .corrupt: badSources |= bit
    case .offline, .full, .fenced, .tooLarge, .io: unusable |= bit
    }
    return false
  }

  private func reader(_ chunk: Int) async throws(ChunkStoreError) -> any ChunkReader {
    if let known = readers[chunk] { return known }
    guard let store = engine.stores[extent.stores[chunk]] else { throw .offline("unknown store") }
    let opened = try await store.openChunk(ChunkID(extent: extent.id, index: UInt8(chunk)))
    let trailer = opened.trailer
    guard trailer.extentLength == geometry.plaintextLength,
      trailer.storedLength == geometry.storedLength,
      trailer.dataLength == geometry.chunkDataLength, trailer.sha256 == extent.digests[chunk]
    else {
      opened.close()
      throw .corrupt("the chunk is not the one that was written")
    }
    readers[chunk] = opened
    if description == nil || trailer.wrappedKey == extent.wrappedKey { description = trailer }
    return opened
  }
}

extension ObjectEngine {
  /// Begins to make chunks of an extent again; waits for memory of one stripe.
  ///
  /// `excluding` are chunks that nothing is to be taken from. With `isCopy` the chunks themselves are
  /// read, as far as they are good: they are to lie elsewhere, not lost. Throws `corrupt` when the row makes
  /// no sense.
  public func rebuild(
    _ extent: Extent, chunks: UInt32, excluding: UInt32 = 0, isCopy: Bool = false
  ) async throws -> ChunkRebuild {
    let geometry = try Self.geometry(of: extent)
    guard geometry.chunkDataLength <= ChunkLimits.dataLength else { throw EngineError.corrupt }
    let wanted = (0..<geometry.scheme.total).filter { chunks & 1 << UInt32($0) != 0 }
    let count = ChunkRebuild.blockStride(geometry) * geometry.scheme.total
    return ChunkRebuild(
      extent, geometry, wanted: wanted, excluding: excluding, isCopy: isCopy,
      buffer: try await buffers.stripe(count), engine: self)
  }

  /// Where the bytes of an extent lie; throws `corrupt` when its row makes no sense.
  public static func geometry(of extent: Extent) throws(EngineError) -> ExtentGeometry {
    guard
      let scheme = ErasureScheme(data: extent.dataCount, parity: extent.parityCount),
      extent.stores.count == scheme.total, extent.digests.count == scheme.total,
      let length = Int(exactly: extent.plaintextLength),
      let geometry = try? ExtentGeometry(scheme: scheme, plaintextLength: length)
    else { throw .corrupt }
    return geometry
  }
}

extension ExtentGeometry {
  /// Whether the chunks are records of a volume, which come and go in one message each.
  public var hasSmallChunks: Bool { chunkDataLength <= ChunkLimits.smallDataLength }
}
