public import Metadata
import Runtime

extension ObjectEngine {
  /// The content of an inline object. Throws `corrupt` when it does not open.
  ///
  /// Precondition: the version was looked up with its content and is inline.
  public func inlineContent(_ version: ObjectVersion) throws(EngineError) -> [UInt8] {
    guard let inline = version.inline else { throw .corrupt }
    let content = try openInline(inline)
    guard Int64(content.count) == version.size else { throw .corrupt }
    return content
  }

  /// Begins to read `range` of a version that lies in extents: the range is in the stores, or this
  /// throws.
  ///
  /// Precondition: `range` lies in the object and is not empty.
  public func read(_ version: ObjectVersion, _ range: Range<Int64>) async throws -> ObjectRead {
    let read = try await beginRead(version, range)
    do {
      try await read.prepare()
      return read
    } catch {
      guard read.isFromCache else { throw error }
      // Chunks may have moved since.
      let fresh = try await beginRead(version, range, mayBeCached: false)
      try await fresh.prepare()
      return fresh
    }
  }

  /// The same without reading anything yet. Throws `metadata(.noSuchVersion)` when the version was
  /// replaced or deleted since it was looked up.
  func beginRead(
    _ version: ObjectVersion, _ range: Range<Int64>, mayBeCached: Bool = true
  ) async throws -> ObjectRead {
    // The read counts from before the look-up of its extents: what is deleted after that waits.
    let token = reads.begin(at: clock.now)
    let links: (all: [ExtentLink], areCached: Bool)
    do {
      links = try await self.links(version, range, mayBeCached: mayBeCached)
    } catch {
      reads.end(token)
      throw (error as? MetadataError).map(EngineError.metadata) ?? error
    }
    return try ObjectRead(
      engine: self, links: links.all, range: range, token: token,
      cachedVersion: links.areCached ? version.number : nil)
  }

  private func links(
    _ version: ObjectVersion, _ range: Range<Int64>, mayBeCached: Bool
  ) async throws -> (all: [ExtentLink], areCached: Bool) {
    guard let cache = extentCache, version.extentCount <= ExtentCache.maximumExtents else {
      return (try await metadata.extents(of: version.number, in: range), false)
    }
    if mayBeCached, let known = await cache.links(of: version.number) {
      return (known.filter { $0.overlaps(range) }, true)
    }
    let all = try await metadata.extents(of: version.number, in: 0..<version.size)
    if !all.isEmpty { await cache.keep(all, of: version.number) }
    return (all.filter { $0.overlaps(range) }, false)
  }
}

extension ExtentLink {
  /// Whether the extent holds any byte of a range of the object.
  fileprivate func overlaps(_ range: Range<Int64>) -> Bool {
    length > 0 && offset < range.upperBound && range.lowerBound - offset < length
  }
}
