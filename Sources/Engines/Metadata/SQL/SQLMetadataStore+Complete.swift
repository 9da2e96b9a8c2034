import Base

extension SQLMetadataStore {
  private enum SQL {
    static let partExtents = SQLStatement(
      "SELECT number, size, etag, extent FROM multipart_parts WHERE upload = $1 ORDER BY number")
    // Parts follow each other without a gap, so that each begins where those before it end.
    static let link = SQLStatement(
      """
      INSERT INTO version_extents(version, start, ordinal, length, part_number, extent,
        checksum_kind, checksum)
      SELECT $1, CAST(sum(size) OVER before AS @int) - size,
        CAST(row_number() OVER before AS @int) - 1, size, number, extent,
        checksum_kind, checksum
      FROM multipart_parts WHERE upload = $2
      WINDOW before AS (ORDER BY number ROWS UNBOUNDED PRECEDING)
      """)
    static let deleteParts = SQLStatement(
      "DELETE FROM multipart_parts WHERE upload = $1 AND number BETWEEN $2 AND $3")
  }

  /// Makes the parts one object and ends the upload; parts that are not named become tombstones.
  ///
  /// Throws `invalidPart` for the first part that is not there as it was read, or not ascending.
  public func complete(_ completion: UploadCompletion) async throws -> CommittedVersion {
    guard !completion.parts.isEmpty else { throw MetadataError.invalidPart(1) }
    let made: Set<UInt64> = [completion.version.number.epoch]
    return try await mutate(cost: 1024 + 256 * completion.parts.count, made: made) { session in
      let (bucket, key) = (completion.bucket, completion.key)
      let versioning = try await Self.versioning(of: bucket, session)
      let upload = try Self.upload(
        try await Self.openUpload(completion.upload, bucket: bucket, key: key, session))
      let head = try await Head.read(bucket, key, session)
      try Head.check(completion.condition, head)
      let id = completion.upload.number.rawValue
      let found = try await session.query(SQL.partExtents, [.int(id)])
      let (size, gaps) = try Self.match(completion.parts, found)
      let now = try await session.now().milliseconds
      for gap in gaps {
        try await ObsoleteVersion.entombParts(of: id, gap, now: now, session)
        try await session.execute(
          SQL.deleteParts, [.int(id), .int(Int64(gap.lowerBound)), .int(Int64(gap.upperBound))])
      }
      let new = NewVersion(
        bucket: bucket, key: key, id: completion.version, size: size, etag: completion.etag,
        owner: upload.owner.number, storageClass: upload.storageClass,
        checksum: completion.checksum, attributes: try AttributeCodec.encode(upload.attributes),
        tags: try AttributeCodec.encodeTags(upload.attributes.tags),
        partCount: completion.parts.count, extentCount: completion.parts.count, upload: id)
      let result = try await new.install(versioning: versioning, head: head, session)
      try await session.execute(SQL.link, [.int(result.number.rawValue), .int(id)])
      try await Self.removeUpload(completion.upload, session)
      return result
    }
  }

  /// Checks that each part that is named is there unchanged. Returns the size of all of them, and
  /// the ranges of numbers in which parts lie that are not named.
  private static func match(
    _ parts: [UploadedPart], _ found: SQLRows
  ) throws -> (size: Int64, gaps: [ClosedRange<Int>]) {
    var size: Int64 = 0
    var gaps: [ClosedRange<Int>] = []
    var gap: ClosedRange<Int>?
    var index = 0
    var previous = 0
    for part in parts {
      guard part.number > previous else { throw MetadataError.invalidPart(part.number) }
      previous = part.number
      while index < found.count, try found[index].int(0) < Int64(part.number) {
        let number = try found[index].small(0)
        gap = (gap?.lowerBound ?? number)...number
        index += 1
      }
      if let ended = gap { gaps.append(ended) }
      gap = nil
      guard index < found.count, try found[index].int(0) == Int64(part.number),
        try found[index].bytes(3) == part.extent.bytes,
        try found[index].text(2) == part.etag
      else { throw MetadataError.invalidPart(part.number) }
      let (sum, overflow) = size.addingReportingOverflow(try found[index].int(1))
      guard !overflow else { throw MetadataError.invalidPart(part.number) }
      size = sum
      index += 1
    }
    if index < found.count {
      gaps.append(try found[index].small(0)...partNumbers.upperBound)
    }
    return (size, gaps)
  }
}
