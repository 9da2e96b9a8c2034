import Base
public import Checksums
public import Metadata
import Runtime
import Sealing

/// An object to be written.
public struct PutRequest: Sendable {
  /// The bucket, as it was looked up.
  public var bucket: Bucket
  /// The key, 1 to 1024 bytes.
  public var key: [UInt8]
  /// Headers, user metadata and tags.
  public var attributes: ObjectAttributes
  /// The storage class.
  public var storageClass: String
  /// The user that writes.
  public var owner: UserID
  /// What must hold at the commit.
  public var condition: WriteCondition
  /// Checksums to compute; the first is kept with the object.
  public var algorithms: [ChecksumAlgorithm]
  /// Whether small content may be kept in metadata.
  public var allowsInline: Bool
  /// The most bytes that are taken; nil for the engine's limit.
  public var maximumSize: Int64?

  /// Makes a request.
  public init(
    bucket: Bucket, key: [UInt8], attributes: ObjectAttributes, storageClass: String = "STANDARD",
    owner: UserID, condition: WriteCondition = .none,
    algorithms: [ChecksumAlgorithm] = [.crc64nvme], allowsInline: Bool = true,
    maximumSize: Int64? = nil
  ) {
    self.bucket = bucket
    self.key = key
    self.attributes = attributes
    self.storageClass = storageClass
    self.owner = owner
    self.condition = condition
    self.algorithms = algorithms
    self.allowsInline = allowsInline
    self.maximumSize = maximumSize
  }
}

/// What a write came to.
public struct PutResult: Sendable {
  /// The ETag without quotes.
  public var etag: String
  /// The digests of the content.
  public var digests: ContentDigests
  /// The committed version.
  public var version: CommittedVersion
  /// The checksum that is kept with it.
  public var checksum: Checksum?
}

extension ObjectEngine {
  /// Writes an object: durable and visible when it returns, nothing of it visible when it throws.
  ///
  /// `check` sees the digests after the last byte and before anything is durable; it throws to
  /// refuse the content. Throws `EngineError`, or what the source or `check` threw.
  public func put(
    _ request: PutRequest, from source: any ObjectSource,
    check: @escaping (ContentDigests) throws -> Void = { _ in }
  ) async throws -> PutResult {
    guard writer.isLive else { throw EngineError.metadata(.fenced) }
    let token = writes.begin(at: clock.now)
    defer { writes.end(token) }
    let version = writer.nextOpaqueID()
    let plan = ContentPlan(
      allowsInline: request.allowsInline, algorithms: request.algorithms,
      maximumSize: request.maximumSize ?? configuration.maximumPutSize)
    let content = ContentWriter(engine: self, plan: plan, check: check) { digests in
      self.descriptor(request, version: version, digests: digests)
    }
    let written = try await content.write(source)
    let checksum = request.algorithms.first.flatMap { written.digests.checksum($0) }
    let etag = Hex.encode(written.digests.md5)
    CrashPoint.reach(.putChunksWritten)
    let committed = try await committing(written.content) {
      try await metadata.commit(
        ObjectCommit(
          bucket: request.bucket.id, key: request.key, version: version, content: written.content,
          size: written.digests.size, etag: etag, attributes: request.attributes,
          checksum: checksum.map(StoredChecksum.init), storageClass: request.storageClass,
          owner: request.owner, condition: request.condition))
    }
    CrashPoint.reach(.putCommitted)
    return PutResult(
      etag: etag, digests: written.digests, version: committed, checksum: checksum)
  }
}

extension StoredChecksum {
  /// As metadata keeps a checksum.
  public init(_ checksum: Checksum) {
    self.init(
      algorithm: checksum.algorithm.rawValue, isComposite: checksum.type == .composite,
      value: checksum.bytes)
  }

  /// The checksum of an object of so many parts, nil when the stored bytes make none.
  public func checksum(partCount: Int) -> Checksum? {
    guard let algorithm = ChecksumAlgorithm(rawValue: algorithm) else { return nil }
    return Checksum(
      algorithm: algorithm, bytes: value, partCount: isComposite ? max(1, partCount) : nil)
  }
}

extension ObjectEngine {
  /// Reads a source of at most `limit` bytes into memory, with its digests.
  ///
  /// Throws `tooLarge`, `incompleteBody` and what the source throws.
  public func collect(
    _ source: any ObjectSource, limit: Int, algorithms: [ChecksumAlgorithm]
  ) async throws -> (bytes: [UInt8], digests: ContentDigests) {
    let peeking = PeekingSource(source)
    let piece = AlignedBuffer(count: 64 << 10)
    let hasher = ContentHasher(algorithms: algorithms)
    var bytes: [UInt8] = []
    while true {
      let count = try await peeking.fill(piece, limit: piece.count)
      guard count <= limit - bytes.count else {
        throw EngineError.tooLarge(limit: Int64(limit))
      }
      hasher.update(piece, 0..<count)
      bytes += piece.bytes(0..<count)
      if count < piece.count { break }
    }
    if let expected = source.expectedLength, expected != Int64(bytes.count) {
      throw EngineError.incompleteBody
    }
    return (bytes, hasher.finish())
  }
}
