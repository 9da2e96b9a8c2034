public import Base
public import Erasure
public import Runtime

/// Names one chunk: an extent and which of its k + m chunks it is.
public struct ChunkID: Hashable, Sendable, CustomStringConvertible {
  /// The extent.
  public var extent: ExtentID
  /// 0 to k - 1 for data, k to k + m - 1 for parity.
  public var index: UInt8

  /// Makes a name.
  public init(extent: ExtentID, index: UInt8) {
    self.extent = extent
    self.index = index
  }

  /// The extent in hexadecimal digits, a hyphen and the index in decimal ones.
  public var description: String { "\(extent)-\(index)" }
}

extension ChunkID: Comparable {
  /// By extent, then by index.
  public static func < (left: ChunkID, right: ChunkID) -> Bool {
    left.extent == right.extent ? left.index < right.index : left.extent < right.extent
  }
}

/// What is known of a chunk before its data comes.
public struct ChunkHeader: Hashable, Sendable {
  /// Its name; the index is below `scheme.total`.
  public var id: ChunkID
  /// The scheme of its extent.
  public var scheme: ErasureScheme
  /// The installation that it belongs to.
  public var cluster: ClusterID

  /// Makes a header.
  public init(id: ChunkID, scheme: ErasureScheme, cluster: ClusterID) {
    self.id = id
    self.scheme = scheme
    self.cluster = cluster
  }
}

/// What is known of a chunk when all of its data has passed.
public struct ChunkTrailer: Hashable, Sendable {
  /// Plaintext bytes of the whole extent.
  public var extentLength: Int
  /// Stored bytes of the whole extent.
  public var storedLength: Int
  /// Bytes of data of this chunk.
  public var dataLength: Int
  /// SHA-256 of the chunk's data.
  public var sha256: SHA256Digest
  /// One seeded CRC32C for each 64 KiB of the chunk's data (`ChunkChecksum`), the last may be
  /// shorter.
  public var blockChecksums: [UInt32]
  /// The extent key, wrapped; opaque here.
  public var wrappedKey: [UInt8]
  /// What the extent is, sealed; opaque here.
  public var descriptor: [UInt8]

  /// Makes a trailer.
  public init(
    extentLength: Int, storedLength: Int, dataLength: Int, sha256: SHA256Digest,
    blockChecksums: [UInt32], wrappedKey: [UInt8], descriptor: [UInt8]
  ) {
    self.extentLength = extentLength
    self.storedLength = storedLength
    self.dataLength = dataLength
    self.sha256 = sha256
    self.blockChecksums = blockChecksums
    self.wrappedKey = wrappedKey
    self.descriptor = descriptor
  }

  /// Whether checksums cover just that range of the chunk's data.
  func covers(_ range: Range<Int>) -> Bool {
    let span = ChunkLimits.checksumSpan
    return range.lowerBound >= 0 && range.upperBound <= dataLength
      && range.lowerBound.isMultiple(of: span)
      && (range.upperBound.isMultiple(of: span) || range.upperBound == dataLength)
  }
}

/// The bounds of format 1.
public enum ChunkLimits {
  /// Chunks with at most so many bytes of data are records in a volume, longer ones files.
  public static let smallDataLength = 128 * ByteCount.kibibyte
  /// Data that one checksum covers.
  public static let checksumSpan = 64 * ByteCount.kibibyte
  /// The longest data of a chunk; its checksums take 4 MiB.
  public static let dataLength = 64 * ByteCount.gibibyte
  /// The longest wrapped extent key.
  public static let wrappedKeyLength = 4 * ByteCount.kibibyte
  /// The longest sealed descriptor.
  public static let descriptorLength = 64 * ByteCount.kibibyte
}

/// Data on its way into a chunk: bytes of a buffer that nobody writes to meanwhile.
public struct ChunkPart: Sendable {
  /// Where they lie.
  public let buffer: AlignedBuffer
  /// Which they are: from a multiple of 4 KiB on.
  public let range: Range<Int>

  /// The bytes `range` of `buffer`.
  public init(_ buffer: AlignedBuffer, _ range: Range<Int>) {
    self.buffer = buffer
    self.range = range
  }
}

/// What a write may take of a store's free space.
public enum ChunkSpace: Hashable, Sendable, CaseIterable {
  /// All but the reserve.
  case free
  /// Half of the reserve too: for the little that has to be written so that space can be freed. The
  /// other half is for the store's own housekeeping.
  case reserve
}

/// A chunk's two descriptions, as `stat` reads them from the disk.
public struct ChunkStatus: Hashable, Sendable {
  /// What was known before its data.
  public var header: ChunkHeader
  /// What was known behind its data.
  public var trailer: ChunkTrailer

  /// Makes a status.
  public init(header: ChunkHeader, trailer: ChunkTrailer) {
    self.header = header
    self.trailer = trailer
  }
}
