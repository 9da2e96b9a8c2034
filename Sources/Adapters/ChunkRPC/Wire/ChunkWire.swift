internal import Base
internal import ChunkStore
internal import Erasure

/// The bounds of messages.
enum WireLimits {
  /// Data of one message.
  static let data = ByteCount.mebibyte
  /// Data of a message that gathers no pieces, and of those that bring a chunk.
  static let pieceData = 256 * ByteCount.kibibyte
  /// Checksums of one message of a chunk that is written: those of 4 GiB.
  static let checksums = 65_536
  /// Names in one message.
  static let names = 16_384
  /// Bytes of one message to a server.
  static let request = data + 512 * ByteCount.kibibyte
  /// Bytes of one message to a client: the checksums of the longest chunk go in one.
  static let response = 8 * ByteCount.mebibyte
  /// Bytes of a trailer.
  static let trailer =
    4 * ChunkChecksum.count(dataLength: ChunkLimits.dataLength) + ChunkLimits.wrappedKeyLength
    + ChunkLimits.descriptorLength + 1024
  /// Stores of one server.
  static let stores = 1024
}

/// The parts that several messages have.
enum ChunkWire {
  static func encode(_ id: ChunkID) -> ProtoWriter {
    var writer = ProtoWriter()
    writer.write(1, id.extent.bytes)
    writer.write(2, Int(id.index))
    return writer
  }

  static func decodeName(_ reader: ProtoReader<ProtoBytes>) throws(FormatError) -> ChunkID {
    var reader = reader
    var extent: ExtentID?
    var index = 0
    while let field = try reader.next() {
      switch field {
      case 1: extent = try reader.id(ExtentKind.self)
      case 2: index = try reader.number(upTo: ErasureScheme.maximumBlockCount - 1)
      default: break
      }
    }
    guard let extent else { throw FormatError("a chunk without an extent") }
    return ChunkID(extent: extent, index: UInt8(index))
  }

  static func encode(_ header: ChunkHeader) -> ProtoWriter {
    var writer = ProtoWriter()
    writer.write(1, encode(header.id))
    writer.write(2, header.scheme.data)
    writer.write(3, header.scheme.parity)
    writer.write(4, header.cluster.bytes)
    return writer
  }

  static func decodeHeader(_ reader: ProtoReader<ProtoBytes>) throws(FormatError) -> ChunkHeader {
    var reader = reader
    var id: ChunkID?
    var (data, parity) = (0, 0)
    var cluster: ClusterID?
    while let field = try reader.next() {
      switch field {
      case 1: id = try decodeName(try reader.message(upTo: 1024))
      case 2: data = try reader.number(upTo: ErasureScheme.maximumBlockCount)
      case 3: parity = try reader.number(upTo: ErasureScheme.maximumBlockCount)
      case 4: cluster = try reader.id(ClusterKind.self)
      default: break
      }
    }
    guard let id, let cluster, let scheme = ErasureScheme(data: data, parity: parity) else {
      throw FormatError("a chunk header without name, scheme or cluster")
    }
    guard id.index < scheme.total else { throw FormatError("chunk \(id.index) of \(scheme)") }
    return ChunkHeader(id: id, scheme: scheme, cluster: cluster)
  }

  /// `checksums` are those that go in the trailer itself.
  static func encode(_ trailer: ChunkTrailer, checksums: ArraySlice<UInt32>) -> ProtoWriter {
    var writer = ProtoWriter()
    writer.write(1, trailer.extentLength)
    writer.write(2, trailer.storedLength)
    writer.write(3, trailer.dataLength)
    writer.write(4, trailer.sha256.bytes)
    writer.write(5, trailer.wrappedKey)
    writer.write(6, trailer.descriptor)
    writer.write(7, fixed32: checksums)
    return writer
  }

  /// `earlier` are the checksums that came before the trailer.
  static func decodeTrailer(
    _ reader: ProtoReader<ProtoBytes>, after earlier: [UInt32] = []
  ) throws(FormatError) -> ChunkTrailer {
    var reader = reader
    var (extentLength, storedLength, dataLength) = (0, 0, 0)
    var sha256: SHA256Digest?
    var (key, descriptor): ([UInt8], [UInt8]) = ([], [])
    var checksums = earlier
    let limit = ChunkChecksum.count(dataLength: ChunkLimits.dataLength)
    while let field = try reader.next() {
      switch field {
      case 1: extentLength = try reader.number(upTo: Int.max)
      case 2: storedLength = try reader.number(upTo: Int.max)
      case 3: dataLength = try reader.number(upTo: ChunkLimits.dataLength)
      case 4: sha256 = SHA256Digest(try reader.bytes(upTo: SHA256Digest.byteCount))
      case 5: key = try reader.bytes(upTo: ChunkLimits.wrappedKeyLength)
      case 6: descriptor = try reader.bytes(upTo: ChunkLimits.descriptorLength)
      case 7: try reader.fixed32(into: &checksums, upTo: limit)
      default: break
      }
    }
    guard let sha256 else { throw FormatError("a trailer without a digest") }
    guard checksums.count == ChunkChecksum.count(dataLength: dataLength) else {
      throw FormatError("a trailer with the wrong number of checksums")
    }
    return ChunkTrailer(
      extentLength: extentLength, storedLength: storedLength, dataLength: dataLength,
      sha256: sha256, blockChecksums: checksums, wrappedKey: key, descriptor: descriptor)
  }
}
