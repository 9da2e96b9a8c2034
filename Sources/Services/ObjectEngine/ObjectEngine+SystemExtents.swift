public import Base
public import ChunkStore
import Erasure
public import Metadata
public import Runtime
public import Sealing

/// One chunk that is sealed and coded and goes to any number of stores as it is.
public struct SealedChunk: Sendable {
  /// Its name, an extent of one chunk without parity.
  public let header: ChunkHeader
  /// Where its data lies.
  public var data: AlignedBuffer { stripe.memory }
  /// The part of `data` that it is.
  public let range: Range<Int>
  /// What describes it.
  public let trailer: ChunkTrailer

  private let stripe: StripeBuffer

  init(_ draft: ExtentDraft, _ stripe: CodedStripe, _ trailer: ChunkTrailer) {
    header = draft.header(0)
    let start = stripe.layout.block(0)
    range = start..<start + stripe.blockLength
    self.stripe = stripe.buffer
    self.trailer = trailer
  }
}

/// Extents that hold what the system keeps about itself, under ids of their own.
extension ObjectEngine {
  /// The most bytes that `seal` takes: two full segments, which make a small chunk.
  public static let maximumSealedLength = 2 * SegmentLayout.plaintextByteCount

  /// Writes a source to its end as one extent that is coded and placed like any other; nothing
  /// names it when this returns.
  ///
  /// `id` was never used before. `describe` is asked at the end, with the bytes that came. Throws
  /// `EngineError`, or what the source threw; then what was written is made tombstones.
  public func writeExtent(
    _ id: ExtentID, from source: any ObjectSource,
    describe: @escaping (Int64) -> ExtentDescriptor
  ) async throws -> Extent {
    let plan = ContentPlan(
      allowsInline: false, algorithms: [], maximumSize: configuration.maximumPutSize)
    let writer = ContentWriter(engine: self, plan: plan, extentID: id, check: { _ in }) {
      describe($0.size)
    }
    guard case .extents(let extents) = try await writer.write(source).content,
      let extent = extents.first
    else { throw EngineError.corrupt }
    return extent
  }

  /// Seals bytes as an extent of one chunk without parity, to be put as it is to several stores.
  ///
  /// `id` was never used before; memory comes from `buffers`. Precondition: at most
  /// `maximumSealedLength` bytes. Computes: call it on an executor that may block.
  public func seal(
    _ bytes: [UInt8], as id: ExtentID, _ descriptor: ExtentDescriptor, buffers: BufferPool
  ) async throws -> SealedChunk {
    precondition(bytes.count <= Self.maximumSealedLength, "more than fits a small chunk")
    guard let scheme = ErasureScheme(data: 1, parity: 0) else { throw EngineError.corrupt }
    let draft = ExtentDraft(
      sealer: keys.sealer(for: id, random: random.bytes), scheme: scheme, clusterID: clusterID,
      stores: [])
    let stored = SegmentLayout.storedByteCount(plaintext: bytes.count)
    let layout = StripeLayout(
      scheme: scheme, blockLength: StripeLayout.blockLength(stored: stored, scheme: scheme),
      plaintextLength: bytes.count)
    let buffer = try await buffers.stripe(layout.end)
    buffer.memory.copy(bytes)
    let encoder = StripeEncoder(draft)
    let stripe = encoder.encode(
      PlainStripe(buffer: buffer, layout: layout, count: bytes.count, isLast: true))
    let trailers = try encoder.trailers(
      plaintextLength: Int64(bytes.count), descriptor: descriptor)
    return SealedChunk(draft, stripe, trailers[0])
  }

  /// Puts the same chunks into several stores at once, into their reserve where they are full;
  /// returns those that did not take all of them, and why.
  ///
  /// A store that stalls is given up, soon once `enough` others have the chunks: when, `faults` says,
  /// or else the configuration.
  public func put(
    _ chunks: [SealedChunk], to targets: [StoreID], enough: Int, faults: FaultTolerance? = nil
  ) async -> [StoreID: ChunkStoreError] {
    let members = targets.map { stores[$0] }
    let calls = StoreCalls(options: faults ?? configuration.faults, pool: pool, quorum: 1)
    let errors = await calls.run(
      Array(targets.indices),
      distant: Set(members.indices.filter { members[$0] is any CancellableChunkStore }),
      isEnough: { $0.count >= enough }
    ) { place throws(ChunkStoreError) in
      guard let store = members[place] else { throw .offline("unknown store") }
      for chunk in chunks {
        try await store.putSmall(
          chunk.header, data: chunk.data, range: chunk.range, trailer: chunk.trailer,
          space: .reserve)
      }
    }
    return Dictionary(
      errors.map { (targets[$0.key], $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  /// A small chunk with its verified data. Throws `corrupt` when it is none.
  public func readSmall(
    _ chunk: ChunkID, from store: any ChunkStore
  ) async throws(ChunkStoreError) -> (status: ChunkStatus, data: AlignedBuffer) {
    let status = try await store.stat(chunk)
    let reader = try await store.openChunk(chunk)
    defer { reader.close() }
    let length = reader.trailer.dataLength
    // Written anew between the two looks: the next attempt sees one of them.
    guard reader.trailer == status.trailer, length > 0, length <= ChunkLimits.smallDataLength
    else { throw .corrupt("no small chunk, or one that was written anew meanwhile") }
    let data = AlignedBuffer(count: ByteCount.roundUp(length, to: 4096))
    try await reader.read(0..<length, into: data, at: 0)
    return (status, data)
  }

  /// Begins to read all of an extent that is not empty, whoever names it.
  public func read(_ extent: Extent) throws -> ObjectRead {
    let link = ExtentLink(
      ordinal: 0, offset: 0, length: extent.plaintextLength, partNumber: 0, extent: extent)
    let token = reads.begin(at: clock.now)
    return try ObjectRead(
      engine: self, links: [link], range: 0..<extent.plaintextLength, token: token)
  }

  /// Makes tombstones of extents that nothing names, where that can be recorded.
  public func discardUnnamed(_ extents: [Extent]) async {
    await discard(extents.map { (id: $0.id, stores: $0.stores) })
  }
}
