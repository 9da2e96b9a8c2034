internal import Base
internal import Erasure
internal import ISAL

/// The chunk file of format 1: a start page, the data padded to 4 KiB, the trailer, and a footer
/// that ends the last page. Little-endian.
enum ChunkFileFormat {
  static let pageLength = 4096
  static let format: UInt32 = 1
  /// "S3CHUNK1".
  static let startMagic: UInt64 = 0x314b_4e55_4843_3353
  /// "S3CKEND1".
  static let footerMagic: UInt64 = 0x3144_4e45_4b43_3353
  static let footerLength = 32
  private static let startFieldsLength = 52

  /// Where the trailer of a chunk with so many bytes of data begins.
  static func trailerOffset(dataLength: Int) -> Int {
    pageLength + ByteCount.roundUp(dataLength, to: pageLength)
  }

  /// The length of the file: the footer ends its last page.
  static func fileLength(dataLength: Int, trailerLength: Int) -> Int {
    trailerOffset(dataLength: dataLength)
      + ByteCount.roundUp(trailerLength + footerLength, to: pageLength)
  }

  /// The start page: magic u64 · format u32 · index u8 · data blocks u8 · parity blocks u8 · 0 u8 ·
  /// cluster id (16) · extent id (16) · zeros · CRC32C u32 of all before, which ends the page.
  static func startPage(_ header: ChunkHeader) -> [UInt8] {
    var writer = ByteWriter(capacity: pageLength)
    writer.write(startMagic)
    writer.write(format)
    writer.write(header.id.index)
    writer.write(UInt8(header.scheme.data))
    writer.write(UInt8(header.scheme.parity))
    writer.write(UInt8(0))
    writer.write(header.cluster.bytes)
    writer.write(header.id.extent.bytes)
    writer.write([UInt8](repeating: 0, count: pageLength - 4 - writer.count))
    writer.write(CRC32C.crc(writer.bytes))
    return writer.bytes
  }

  /// Reads a start page; throws for any bytes that are none.
  static func header(fromStartPage bytes: [UInt8]) throws(FormatError) -> ChunkHeader {
    guard bytes.count == pageLength else { throw FormatError("a chunk file without start page") }
    var end = ByteReader(bytes, in: pageLength - 4..<pageLength)
    guard try end.readInteger(UInt32.self) == CRC32C.crc(Array(bytes.dropLast(4))) else {
      throw FormatError("the start page does not match its checksum")
    }
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt64.self) == startMagic else {
      throw FormatError("no start page of a chunk file")
    }
    let format = try reader.readInteger(UInt32.self)
    guard format == Self.format else { throw FormatError("chunk file of format \(format)") }
    let index = try reader.readInteger(UInt8.self)
    let data = Int(try reader.readInteger(UInt8.self))
    let parity = Int(try reader.readInteger(UInt8.self))
    _ = try reader.readInteger(UInt8.self)
    guard let scheme = ErasureScheme(data: data, parity: parity), index < scheme.total,
      let cluster = ClusterID(bytes: try reader.read(16)),
      let extent = ExtentID(bytes: try reader.read(16))
    else { throw FormatError("the start page names no chunk") }
    return ChunkHeader(
      id: ChunkID(extent: extent, index: index), scheme: scheme, cluster: cluster)
  }

  /// The footer: magic u64 · trailer offset u64 · trailer length u32 · format u32 · 0 u32 · CRC32C
  /// u32 of all before.
  static func footer(dataLength: Int, trailerLength: Int) -> [UInt8] {
    var writer = ByteWriter(capacity: footerLength)
    writer.write(footerMagic)
    writer.write(UInt64(trailerOffset(dataLength: dataLength)))
    writer.write(UInt32(trailerLength))
    writer.write(format)
    writer.write(UInt32(0))
    writer.write(CRC32C.crc(writer.bytes))
    return writer.bytes
  }

  /// Where a footer says that the trailer lies, in a file of so many bytes; throws for any bytes
  /// that are no footer of such a file.
  static func trailerRange(
    footer bytes: [UInt8], fileLength: Int
  ) throws(FormatError) -> Range<Int> {
    guard bytes.count == footerLength else { throw FormatError("a chunk file without footer") }
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt64.self) == footerMagic else {
      throw FormatError("no footer of a chunk file")
    }
    let offset = try reader.readInteger(UInt64.self)
    let length = Int(try reader.readInteger(UInt32.self))
    let format = try reader.readInteger(UInt32.self)
    _ = try reader.readInteger(UInt32.self)
    guard try reader.readInteger(UInt32.self) == CRC32C.crc(Array(bytes.dropLast(4))) else {
      throw FormatError("the footer does not match its checksum")
    }
    guard format == Self.format else { throw FormatError("chunk file of format \(format)") }
    guard let start = Int(exactly: offset), start >= pageLength, start.isMultiple(of: pageLength),
      length >= ChunkTrailer.fixedLength, length <= ChunkTrailer.maximumLength,
      start <= fileLength,
      fileLength - start == ByteCount.roundUp(length + footerLength, to: pageLength)
    else { throw FormatError("the footer names a place outside its file") }
    return start..<start + length
  }
}
