internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime

/// Asks for ranges of a chunk.
struct GetRequest {
  var store: StoreID
  var chunk: ChunkID
  var offset = 0
  var length = 0
  var messageLength = 0
  var wholeUpTo = 0
  var isWithoutTrailer = false

  init(store: StoreID, chunk: ChunkID) {
    self.store = store
    self.chunk = chunk
  }

  init(_ message: ReceivedMessage) throws(FormatError) {
    var reader = ProtoReader(message.reader)
    var store: StoreID?
    var chunk: ChunkID?
    while let field = try reader.next() {
      switch field {
      case 1: store = try reader.id(StoreKind.self)
      case 2: chunk = try ChunkWire.decodeName(try reader.message(upTo: 1024))
      case 3: offset = try reader.number(upTo: Int.max)
      case 4: length = try reader.number(upTo: Int.max)
      case 5: messageLength = try reader.number(upTo: Int(UInt32.max))
      case 6: wholeUpTo = try reader.number(upTo: Int(UInt32.max))
      case 7: isWithoutTrailer = try reader.number() != 0
      default: break
      }
    }
    guard let store, let chunk else { throw FormatError("a request without store or chunk") }
    self.store = store
    self.chunk = chunk
  }

  var encoded: [UInt8] {
    var writer = ProtoWriter()
    writer.write(1, store.bytes)
    writer.write(2, ChunkWire.encode(chunk))
    writer.write(3, offset)
    writer.write(4, length)
    writer.write(5, messageLength)
    writer.write(6, wholeUpTo)
    writer.write(7, isWithoutTrailer)
    return writer.bytes
  }

  /// The range of a chunk's data that is asked for; throws unless checksums cover it.
  func range(in trailer: ChunkTrailer) throws(FormatError) -> Range<Int> {
    if trailer.dataLength <= min(wholeUpTo, WireLimits.data) { return 0..<trailer.dataLength }
    guard offset <= trailer.dataLength, length <= trailer.dataLength - offset else {
      throw FormatError("the range lies outside the chunk")
    }
    let end = offset + length
    let span = ChunkLimits.checksumSpan
    guard offset.isMultiple(of: span), end.isMultiple(of: span) || end == trailer.dataLength else {
      throw FormatError("the range does not lie on checksums")
    }
    return offset..<end
  }

  /// Data of each message of the answer.
  func pieceLength() throws(FormatError) -> Int {
    guard messageLength != 0 else { return WireLimits.data }
    guard messageLength <= WireLimits.data,
      messageLength.isMultiple(of: ChunkLimits.checksumSpan)
    else { throw FormatError("messages have a multiple of 64 KiB of data, at most 1 MiB") }
    return messageLength
  }
}

/// One message of a chunk that is read.
struct GetMessage {
  var trailer: ChunkTrailer?
  /// Bytes of data that are in the message.
  var dataLength = 0
  /// Stands at the data's first byte.
  var data: MessageReader?

  init(_ message: ReceivedMessage) throws(FormatError) {
    var reader = ProtoReader(message.reader)
    while let field = try reader.next() {
      switch field {
      case 1: trailer = try ChunkWire.decodeTrailer(try reader.message(upTo: WireLimits.trailer))
      case 2:
        dataLength = try reader.run(upTo: WireLimits.data)
        data = reader.source
        try reader.source.skip(dataLength)
      default: break
      }
    }
  }

  /// The part of a message before its data; the checksums come behind it.
  static func head(trailer: ChunkTrailer?, dataLength: Int) -> [UInt8] {
    var writer = ProtoWriter()
    if let trailer {
      writer.write(1, ChunkWire.encode(trailer, checksums: trailer.blockChecksums[...]))
    }
    if dataLength > 0 { writer.writeHead(2, count: dataLength) }
    return writer.bytes
  }

  static func tail(checksums: ArraySlice<UInt32>) -> [UInt8] {
    var writer = ProtoWriter()
    writer.write(3, fixed32: checksums)
    return writer.bytes
  }
}
