internal import Base
internal import ISAL

/// The trailer of format 1, the same in chunk files and in volume records. Little-endian:
///
/// magic u32 · format u32 · extent length u64 · stored length u64 · data length u64 · SHA-256 (32) ·
/// checksum count u32 · checksums u32 each · key length u32 · key · descriptor length u32 ·
/// descriptor · CRC32C u32 of all before, seeded with the chunk's name.
extension ChunkTrailer {
  /// "S3CT".
  static let magic: UInt32 = 0x5443_3353
  static let format: UInt32 = 1
  /// Bytes of a trailer besides its checksums, key and descriptor.
  static let fixedLength = 80
  /// The longest trailer.
  static let maximumLength =
    fixedLength + 4 * ChunkChecksum.count(dataLength: ChunkLimits.dataLength)
    + ChunkLimits.wrappedKeyLength + ChunkLimits.descriptorLength

  /// Bytes that the trailer takes.
  var encodedLength: Int {
    Self.fixedLength + 4 * blockChecksums.count + wrappedKey.count + descriptor.count
  }

  /// Throws `tooLarge` unless the format can hold the trailer and its parts fit each other.
  func validate() throws(ChunkStoreError) {
    guard (0...ChunkLimits.dataLength).contains(dataLength) else {
      throw .tooLarge("a chunk of \(dataLength) bytes")
    }
    guard extentLength >= 0, storedLength >= 0 else { throw .tooLarge("a negative length") }
    guard blockChecksums.count == ChunkChecksum.count(dataLength: dataLength) else {
      throw .tooLarge("\(blockChecksums.count) checksums for \(dataLength) bytes")
    }
    guard wrappedKey.count <= ChunkLimits.wrappedKeyLength else {
      throw .tooLarge("a wrapped key of \(wrappedKey.count) bytes")
    }
    guard descriptor.count <= ChunkLimits.descriptorLength else {
      throw .tooLarge("a descriptor of \(descriptor.count) bytes")
    }
  }

  /// The bytes of a valid trailer.
  func encoded(for id: ChunkID) -> [UInt8] {
    var writer = ByteWriter(capacity: encodedLength)
    writer.write(Self.magic)
    writer.write(Self.format)
    writer.write(UInt64(extentLength))
    writer.write(UInt64(storedLength))
    writer.write(UInt64(dataLength))
    writer.write(sha256.bytes)
    writer.write(UInt32(blockChecksums.count))
    for checksum in blockChecksums { writer.write(checksum) }
    writer.write(UInt32(wrappedKey.count))
    writer.write(wrappedKey)
    writer.write(UInt32(descriptor.count))
    writer.write(descriptor)
    writer.write(Self.checksum(writer.bytes[...], of: id))
    return writer.bytes
  }

  /// Reads a trailer that fills all of `bytes`; throws for anything but the trailer of this chunk.
  init(decoding bytes: [UInt8], of id: ChunkID) throws(FormatError) {
    guard bytes.count >= Self.fixedLength, bytes.count <= Self.maximumLength else {
      throw FormatError("a chunk trailer of \(bytes.count) bytes")
    }
    let body = bytes.dropLast(4)
    var end = ByteReader(bytes, in: body.endIndex..<bytes.count)
    guard try end.readInteger(UInt32.self) == Self.checksum(body, of: id) else {
      throw FormatError("the chunk trailer does not match its checksum")
    }
    var reader = ByteReader(bytes, in: 0..<body.endIndex)
    guard try reader.readInteger(UInt32.self) == Self.magic else {
      throw FormatError("no chunk trailer")
    }
    let format = try reader.readInteger(UInt32.self)
    guard format == Self.format else { throw FormatError("chunk trailer of format \(format)") }
    func length(_ limit: Int) throws(FormatError) -> Int {
      guard let value = Int(exactly: try reader.readInteger(UInt64.self)), value <= limit else {
        throw FormatError("a length in the chunk trailer is out of bounds")
      }
      return value
    }
    func count(_ limit: Int) throws(FormatError) -> Int {
      let value = Int(try reader.readInteger(UInt32.self))
      guard value <= limit else { throw FormatError("a count in the chunk trailer is too large") }
      return value
    }
    extentLength = try length(Int.max)
    storedLength = try length(Int.max)
    dataLength = try length(ChunkLimits.dataLength)
    guard let sha256 = SHA256Digest(try reader.read(SHA256Digest.byteCount)) else {
      throw FormatError("a chunk trailer without a digest")
    }
    self.sha256 = sha256
    let checksums = try count(ChunkChecksum.count(dataLength: ChunkLimits.dataLength))
    guard checksums == ChunkChecksum.count(dataLength: dataLength),
      checksums * 4 <= reader.remaining
    else { throw FormatError("a chunk trailer with the wrong number of checksums") }
    var table: [UInt32] = []
    table.reserveCapacity(checksums)
    for _ in 0..<checksums { table.append(try reader.readInteger()) }
    blockChecksums = table
    wrappedKey = Array(try reader.read(try count(ChunkLimits.wrappedKeyLength)))
    descriptor = Array(try reader.read(try count(ChunkLimits.descriptorLength)))
    try reader.expectEnd()
  }

  private static func checksum(_ bytes: ArraySlice<UInt8>, of id: ChunkID) -> UInt32 {
    let seed = ChunkChecksum.seed(id, position: ChunkChecksum.trailerPosition)
    return unsafe bytes.withUnsafeBytes { unsafe CRC32C.crc($0, after: seed) }
  }
}
