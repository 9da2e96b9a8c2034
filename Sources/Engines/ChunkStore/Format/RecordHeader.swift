internal import Base
internal import Erasure
internal import ISAL

/// A place in a volume.
struct RecordLocation: Hashable, Sendable {
  /// What records begin at multiples of.
  static let unit = 64

  /// The volume's number, at least 1.
  var volume: UInt32
  /// Bytes from the start of the volume, a multiple of 64.
  var offset: Int
}

/// The first 64 bytes of each record of a volume. Little-endian:
///
/// magic u32 · kind u8 · index u8 · data blocks u8 · parity blocks u8 · extent id (16) · trailer
/// length u32 · data length u32 · record length u32 · target volume u32 · target offset u64 · batch
/// u64 · flags u32 · CRC32C u32, seeded with store id, volume number u32 and offset u64.
struct RecordHeader: Hashable, Sendable {
  enum Kind: UInt8, Sendable {
    /// Begins a volume.
    case start = 1
    /// A chunk: trailer and data follow.
    case chunk = 2
    /// Undoes the chunk record at the target.
    case delete = 3
    /// Fills the page.
    case pad = 4
  }

  static let length = 64
  /// "S3VR".
  static let magic: UInt32 = 0x5256_3353
  /// The longest record.
  static let maximumRecordLength = ByteCount.roundUp(
    length + ChunkTrailer.fixedLength
      + 4 * ChunkChecksum.count(dataLength: ChunkLimits.smallDataLength)
      + ChunkLimits.wrappedKeyLength + ChunkLimits.descriptorLength
      + ChunkLimits.smallDataLength, to: RecordLocation.unit)

  var kind: Kind
  /// The chunk; that of a start or pad record is zero.
  var id = ChunkID(extent: ExtentID(high: 0, low: 0), index: 0)
  /// The scheme of a chunk record, nil for others.
  var scheme: ErasureScheme?
  /// Bytes of the trailer, which follows the header.
  var trailerLength = 0
  /// Bytes of data, which follow the trailer.
  var dataLength = 0
  /// Bytes of the record with its padding.
  var recordLength = RecordHeader.length
  /// What a delete record undoes, nil for others.
  var target: RecordLocation?
  /// The number of the batch that the record was written with; grows from batch to batch.
  var batch: UInt64
  /// Whether the record is the first of its batch.
  var isFirst = false

  /// The header of a chunk record of these lengths, which are within the limits.
  static func chunk(
    _ id: ChunkID, scheme: ErasureScheme, trailerLength: Int, dataLength: Int, batch: UInt64
  ) -> RecordHeader {
    RecordHeader(
      kind: .chunk, id: id, scheme: scheme, trailerLength: trailerLength, dataLength: dataLength,
      recordLength: ByteCount.roundUp(
        length + trailerLength + dataLength, to: RecordLocation.unit),
      batch: batch)
  }

  /// The 64 bytes as they lie at one place of one store.
  func encoded(store: StoreID, at location: RecordLocation) -> [UInt8] {
    var writer = ByteWriter(capacity: Self.length)
    writer.write(Self.magic)
    writer.write(kind.rawValue)
    writer.write(id.index)
    writer.write(UInt8(scheme?.data ?? 0))
    writer.write(UInt8(scheme?.parity ?? 0))
    writer.write(id.extent.bytes)
    writer.write(UInt32(trailerLength))
    writer.write(UInt32(dataLength))
    writer.write(UInt32(recordLength))
    writer.write(target?.volume ?? 0)
    writer.write(UInt64(target?.offset ?? 0))
    writer.write(batch)
    writer.write(UInt32(isFirst ? 1 : 0))
    writer.write(Self.checksum(writer.bytes, store: store, location: location))
    return writer.bytes
  }

  /// Reads a header that lies at one place of one store; throws for any other bytes.
  init(
    decoding bytes: [UInt8], store: StoreID, at location: RecordLocation
  ) throws(FormatError) {
    guard bytes.count == Self.length else { throw FormatError("a record header is cut off") }
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt32.self) == Self.magic else {
      throw FormatError("no record header")
    }
    guard let kind = Kind(rawValue: try reader.readInteger()) else {
      throw FormatError("unknown kind of record")
    }
    self.kind = kind
    let index = try reader.readInteger(UInt8.self)
    let data = Int(try reader.readInteger(UInt8.self))
    let parity = Int(try reader.readInteger(UInt8.self))
    guard let extent = ExtentID(bytes: try reader.read(16)) else {
      throw FormatError("a record without an extent")
    }
    id = ChunkID(extent: extent, index: index)
    trailerLength = Int(try reader.readInteger(UInt32.self))
    dataLength = Int(try reader.readInteger(UInt32.self))
    recordLength = Int(try reader.readInteger(UInt32.self))
    let targetVolume = try reader.readInteger(UInt32.self)
    let targetOffset = try reader.readInteger(UInt64.self)
    batch = try reader.readInteger()
    isFirst = try reader.readInteger(UInt32.self) & 1 == 1
    let checksum = Self.checksum(Array(bytes.dropLast(4)), store: store, location: location)
    guard try reader.readInteger(UInt32.self) == checksum else {
      throw FormatError("a record header does not match its checksum and place")
    }
    try checkLengths()
    if kind == .chunk {
      guard let scheme = ErasureScheme(data: data, parity: parity), index < scheme.total else {
        throw FormatError("a record of no scheme")
      }
      self.scheme = scheme
    }
    if kind == .delete {
      guard let offset = Int(exactly: targetOffset), offset.isMultiple(of: RecordLocation.unit)
      else { throw FormatError("a delete record without a target") }
      target = RecordLocation(volume: targetVolume, offset: offset)
    }
  }

  private init(
    kind: Kind, id: ChunkID, scheme: ErasureScheme?, trailerLength: Int, dataLength: Int,
    recordLength: Int, batch: UInt64
  ) {
    self.kind = kind
    self.id = id
    self.scheme = scheme
    self.trailerLength = trailerLength
    self.dataLength = dataLength
    self.recordLength = recordLength
    self.batch = batch
  }

  /// A header without trailer and data.
  init(_ kind: Kind, batch: UInt64, recordLength: Int = RecordHeader.length) {
    self.kind = kind
    self.batch = batch
    self.recordLength = recordLength
  }

  /// The header of a record that undoes the chunk record at `target`.
  static func delete(_ id: ChunkID, target: RecordLocation, batch: UInt64) -> RecordHeader {
    var header = RecordHeader(.delete, batch: batch)
    header.id = id
    header.target = target
    return header
  }

  private func checkLengths() throws(FormatError) {
    let inner = Self.length + trailerLength + dataLength
    let isRight =
      switch kind {
      case .chunk:
        trailerLength >= ChunkTrailer.fixedLength && dataLength <= ChunkLimits.smallDataLength
          && recordLength <= Self.maximumRecordLength
          && recordLength == ByteCount.roundUp(inner, to: RecordLocation.unit)
      case .start, .delete: inner == Self.length && recordLength == Self.length
      case .pad:
        inner == Self.length && recordLength >= Self.length
          && recordLength <= ChunkFileFormat.pageLength
          && recordLength.isMultiple(of: RecordLocation.unit)
      }
    guard isRight else { throw FormatError("a record with impossible lengths") }
  }

  private static func checksum(
    _ bytes: [UInt8], store: StoreID, location: RecordLocation
  ) -> UInt32 {
    var seed = ByteWriter(capacity: 28)
    seed.write(store.bytes)
    seed.write(location.volume)
    seed.write(UInt64(location.offset))
    return CRC32C.crc(bytes, after: CRC32C.crc(seed.bytes))
  }
}
