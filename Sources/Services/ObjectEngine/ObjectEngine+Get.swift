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
    try await read.prepare()
    return read
  }

  /// The same without reading anything yet. Throws `metadata(.noSuchVersion)` when the version was
  /// replaced or deleted since it was looked up.
  func beginRead(
    _ version: ObjectVersion, _ range: Range<Int64>
  ) async throws -> ObjectRead {
    // The read counts from before the look-up of its extents: what is deleted after that waits.
    let token = reads.begin(at: clock.now)
    let links: [ExtentLink]
    do {
      links = try await metadata.extents(of: version.number, in: range)
    } catch {
      reads.end(token)
      throw (error as? MetadataError).map(EngineError.metadata) ?? error
    }
    return try ObjectRead(engine: self, links: links, range: range, token: token)
  }
}
