internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime

/// One message of a chunk that is written. Its data lies in the buffer that it was read into.
struct PutMessage {
  var store: StoreID?
  var header: ChunkHeader?
  /// Bytes of data, from the buffer's beginning.
  var dataLength = 0
  var checksums: [UInt32] = []
  /// Decoded when all checksums are there.
  var trailer: ProtoReader<ProtoBytes>?
  var isSmall = false
  var space = ChunkSpace.free

  /// Reads a message; its data, at most `limit` bytes, goes to the beginning of `buffer`.
  init(
    _ message: ReceivedMessage, dataInto buffer: AlignedBuffer, upTo limit: Int
  ) throws(FormatError) {
    var reader = ProtoReader(message.reader)
    while let field = try reader.next() {
      switch field {
      case 1: store = try reader.id(StoreKind.self)
      case 2: header = try ChunkWire.decodeHeader(try reader.message(upTo: 4096))
      case 3:
        dataLength = try reader.run(upTo: limit)
        try reader.source.read(dataLength, into: buffer, at: 0)
      case 4: try reader.fixed32(into: &checksums, upTo: WireLimits.checksums)
      case 5: trailer = try reader.message(upTo: WireLimits.request)
      case 7: isSmall = try reader.number() != 0
      case 8: space = try reader.number() == 1 ? .reserve : .free
      default: break
      }
    }
  }

  /// All of a message but its data, in the two parts that lie around it.
  struct Frame {
    var head = ProtoWriter()
    var tail = ProtoWriter()

    /// The first message of a chunk.
    init(
      store: StoreID, header: ChunkHeader, isSmall: Bool = false,
      space: ChunkSpace = .free
    ) {
      head.write(1, store.bytes)
      head.write(2, ChunkWire.encode(header))
      head.write(7, isSmall)
      head.write(8, space == .reserve ? 1 : 0)
    }

    /// A message of nothing yet.
    init() {}

    /// Announces data, which comes between the two parts.
    mutating func addData(count: Int) {
      head.writeHead(3, count: count)
    }

    /// Brings checksums that the trailer has no room for.
    mutating func addChecksums(_ checksums: ArraySlice<UInt32>) {
      tail.write(4, fixed32: checksums)
    }

    /// Ends the chunk.
    mutating func addTrailer(_ trailer: ChunkTrailer, checksums: ArraySlice<UInt32>) {
      tail.write(5, ChunkWire.encode(trailer, checksums: checksums))
    }
  }
}
