public import Base

/// One answer of a walk over a store's chunks.
public struct ChunkPage: Sendable {
  /// The names.
  public var chunks: [ChunkID]
  /// Where the next page begins; nil when this is the last.
  public var next: ChunkListPosition?

  /// Makes a page.
  public init(chunks: [ChunkID], next: ChunkListPosition?) {
    self.chunks = chunks
    self.next = next
  }
}

/// A place in the walk over a store's chunks; means something to that store only.
public struct ChunkListPosition: Hashable, Sendable {
  enum Area: UInt8 {
    case volumes = 0
    case files = 1
  }

  let area: Area
  /// The last chunk named; nil at the beginning of the area.
  let last: ChunkID?

  init(area: Area, last: ChunkID?) {
    self.area = area
    self.last = last
  }

  /// 1 or 18 bytes, for a wire.
  public var bytes: [UInt8] {
    guard let last else { return [area.rawValue] }
    return [area.rawValue] + last.extent.bytes + [last.index]
  }

  /// Takes what `bytes` gave; throws for anything else.
  public init(bytes: [UInt8]) throws(FormatError) {
    var reader = ByteReader(bytes)
    guard let area = Area(rawValue: try reader.readInteger()) else {
      throw FormatError("unknown area of a chunk list")
    }
    self.area = area
    if reader.isAtEnd {
      last = nil
    } else {
      guard let extent = ExtentID(bytes: try reader.read(16)) else {
        throw FormatError("chunk list position without an extent")
      }
      last = ChunkID(extent: extent, index: try reader.readInteger())
      try reader.expectEnd()
    }
  }
}
