import Base
public import Checksums
public import Metadata
import Runtime
import Sealing

/// A part that a Complete request names.
public struct NamedPart: Hashable, Sendable {
  /// The number.
  public var number: Int
  /// The ETag without quotes.
  public var etag: String
  /// The checksum, if the request gave one.
  public var checksum: Checksum?

  /// Makes a named part.
  public init(number: Int, etag: String, checksum: Checksum?) {
    self.number = number
    self.etag = etag
    self.checksum = checksum
  }
}

extension ObjectEngine {
  /// The smallest part of an upload but its last, in bytes: 5 MiB.
  public static let minimumPartSize: Int64 = 5 << 20

  /// Begins an upload.
  public func createUpload(
    bucket: Bucket, key: [UInt8], attributes: ObjectAttributes, storageClass: String,
    owner: UserID, algorithm: ChecksumAlgorithm?, type: ChecksumType?
  ) async throws -> MultipartUpload {
    try await mappingErrors {
      try await metadata.createUpload(
        MultipartUpload(
          id: writer.nextOpaqueID(), bucket: bucket.id, key: key, initiated: clock.now,
          owner: owner, attributes: attributes, storageClass: storageClass,
          checksumAlgorithm: algorithm?.rawValue ?? 0, checksumIsComposite: type == .composite))
    }
  }

  /// Writes a part: durable when it returns. `check` as in `put`.
  public func putPart(
    _ number: Int, of upload: MultipartUpload, bucket: Bucket, from source: any ObjectSource,
    algorithms: [ChecksumAlgorithm], check: @escaping (ContentDigests) throws -> Void = { _ in }
  ) async throws -> UploadedPart {
    guard writer.isLive else { throw EngineError.metadata(.fenced) }
    let token = writes.begin(at: clock.now)
    defer { writes.end(token) }
    let plan = ContentPlan(
      allowsInline: false, algorithms: algorithms, maximumSize: configuration.maximumPutSize)
    let content = ContentWriter(engine: self, plan: plan, check: check) { digests in
      self.descriptor(upload, bucket: bucket, part: number, digests: digests)
    }
    let written = try await content.write(source)
    guard case .extents(let extents) = written.content, let extent = extents.first else {
      throw EngineError.corrupt
    }
    let checksum = algorithms.first.flatMap { written.digests.checksum($0) }
    let part = UploadedPart(
      number: number, size: written.digests.size, etag: Hex.encode(written.digests.md5),
      lastModified: clock.now, checksum: checksum.map(StoredChecksum.init), extent: extent.id)
    CrashPoint.reach(.partChunksWritten)
    let committed = try await committing(written.content) {
      try await metadata.commitPart(part, extent: extent, upload: upload.id)
    }
    CrashPoint.reach(.partCommitted)
    return committed
  }

  /// Writes a part with the content of a range of an object.
  public func copyPart(
    _ number: Int, of upload: MultipartUpload, bucket: Bucket, from version: ObjectVersion,
    _ range: Range<Int64>, algorithms: [ChecksumAlgorithm]
  ) async throws -> UploadedPart {
    try await withContent(of: version, range) { content in
      try await putPart(number, of: upload, bucket: bucket, from: content, algorithms: algorithms)
    }
  }

  /// Makes an object of the named parts, ascending by number, and ends the upload.
  ///
  /// `expected` is a checksum of the whole object that the client gave; one that cannot be
  /// compared, since the parts have others, does not match. `check` sees the size in bytes before
  /// anything is committed and throws to refuse it. Throws `metadata(.invalidPart)`,
  /// `partTooSmall`, `tooLarge`, `digestMismatch`, what `check` throws and what a commit throws.
  public func complete(
    _ upload: MultipartUpload, parts named: [NamedPart], expected: Checksum? = nil,
    condition: WriteCondition, check: (Int64) throws -> Void = { _ in }
  ) async throws -> PutResult {
    let parts = try await chosenParts(upload, named)
    for part in parts.dropLast() where part.size < Self.minimumPartSize {
      throw EngineError.partTooSmall(part.number)
    }
    let etag = ETag.multipart(partMD5s: try parts.map(Self.md5))
    let checksum = try objectChecksum(upload, parts)
    if let expected, expected != checksum {
      throw EngineError.digestMismatch(expected.algorithm.name)
    }
    let size = parts.reduce(0) { $0 + $1.size }
    guard size <= configuration.maximumObjectSize else {
      throw EngineError.tooLarge(limit: configuration.maximumObjectSize)
    }
    try check(size)
    CrashPoint.reach(.completeBeforeCommit)
    let committed = try await mappingErrors {
      try await metadata.complete(
        UploadCompletion(
          upload: upload.id, bucket: upload.bucket, key: upload.key, parts: parts,
          version: writer.nextOpaqueID(), etag: etag, checksum: checksum.map(StoredChecksum.init),
          condition: condition))
    }
    CrashPoint.reach(.completeCommitted)
    return PutResult(
      etag: etag, digests: ContentDigests(size: size, md5: [], checksums: []), version: committed,
      checksum: checksum)
  }

  private func chosenParts(
    _ upload: MultipartUpload, _ named: [NamedPart]
  ) async throws -> [UploadedPart] {
    var all: [Int: UploadedPart] = [:]
    var after = 0
    while true {
      let page = try await mappingErrors {
        try await metadata.parts(of: upload.id, after: after, limit: 1000)
      }
      for part in page { all[part.number] = part }
      guard page.count == 1000, let last = page.last else { break }
      after = last.number
    }
    return try named.map { name in
      guard let part = all[name.number], part.etag == name.etag else {
        throw EngineError.metadata(.invalidPart(name.number))
      }
      if let given = name.checksum, let kept = part.checksum,
        given.algorithm.rawValue == kept.algorithm, given.bytes != kept.value
      {
        throw EngineError.metadata(.invalidPart(name.number))
      }
      return part
    }
  }

  /// The checksum of the whole object from those of its parts, when the upload asked for one or
  /// all parts have the default.
  private func objectChecksum(
    _ upload: MultipartUpload, _ parts: [UploadedPart]
  ) throws -> Checksum? {
    let algorithm = ChecksumAlgorithm(rawValue: upload.checksumAlgorithm) ?? .crc64nvme
    var values: [Checksum.Part] = []
    for part in parts {
      guard let kept = part.checksum, kept.algorithm == algorithm.rawValue,
        let checksum = kept.checksum(partCount: 0)
      else { return nil }
      values.append(Checksum.Part(checksum, byteCount: Int(part.size)))
    }
    return upload.checksumIsComposite
      ? try Checksum.composite(algorithm, of: values.map(\.checksum))
      : try Checksum.fullObject(algorithm, of: values)
  }

  private static func md5(_ part: UploadedPart) throws(EngineError) -> [UInt8] {
    guard let md5 = Hex.decode(part.etag), md5.count == 16 else { throw .corrupt }
    return md5
  }
}
