internal import Base
internal import ChunkStore
internal import GRPC

/// Names one chunk of one store.
struct ChunkRequest {
  var store: StoreID
  var chunk: ChunkID

  init(store: StoreID, chunk: ChunkID) {
    self.store = store
    self.chunk = chunk
  }

  init(_ message: ReceivedMessage) throws(FormatError) {
    let request = try GetRequest(message)
    store = request.store
    chunk = request.chunk
  }

  var encoded: [UInt8] { GetRequest(store: store, chunk: chunk).encoded }
}

/// Names chunks of one store that are to go.
struct DeleteRequest {
  var store: StoreID
  var chunks: [ChunkID] = []

  init(store: StoreID, chunks: [ChunkID]) {
    self.store = store
    self.chunks = chunks
  }

  init(_ message: ReceivedMessage) throws(FormatError) {
    var reader = ProtoReader(message.reader)
    var store: StoreID?
    while let field = try reader.next() {
      switch field {
      case 1: store = try reader.id(StoreKind.self)
      case 2:
        guard chunks.count < WireLimits.names else { throw FormatError("too many chunks") }
        chunks.append(try ChunkWire.decodeName(try reader.message(upTo: 1024)))
      default: break
      }
    }
    guard let store else { throw FormatError("a request without a store") }
    self.store = store
  }

  var encoded: [UInt8] {
    var writer = ProtoWriter()
    writer.write(1, store.bytes)
    for chunk in chunks { writer.write(2, ChunkWire.encode(chunk)) }
    return writer.bytes
  }
}

/// What a chunk says of itself.
enum StatMessage {
  static func encode(_ status: ChunkStatus) -> [UInt8] {
    var writer = ProtoWriter()
    writer.write(1, ChunkWire.encode(status.header))
    writer.write(
      2, ChunkWire.encode(status.trailer, checksums: status.trailer.blockChecksums[...]))
    return writer.bytes
  }

  static func decode(_ message: ReceivedMessage) throws(FormatError) -> ChunkStatus {
    var reader = ProtoReader(message.reader)
    var header: ChunkHeader?
    var trailer: ChunkTrailer?
    while let field = try reader.next() {
      switch field {
      case 1: header = try ChunkWire.decodeHeader(try reader.message(upTo: 4096))
      case 2: trailer = try ChunkWire.decodeTrailer(try reader.message(upTo: WireLimits.trailer))
      default: break
      }
    }
    guard let header, let trailer else { throw FormatError("a status without its parts") }
    return ChunkStatus(header: header, trailer: trailer)
  }
}

/// Asks for names of chunks.
struct ListRequest {
  var store: StoreID
  var position: ChunkListPosition?
  /// 0 for all.
  var limit = 0

  init(store: StoreID, position: ChunkListPosition?, limit: Int) {
    self.store = store
    self.position = position
    self.limit = limit
  }

  init(_ message: ReceivedMessage) throws(FormatError) {
    var reader = ProtoReader(message.reader)
    var store: StoreID?
    while let field = try reader.next() {
      switch field {
      case 1: store = try reader.id(StoreKind.self)
      case 2: position = try ListMessage.position(try reader.bytes(upTo: 64))
      case 3: limit = try reader.number(upTo: Int.max)
      default: break
      }
    }
    guard let store else { throw FormatError("a request without a store") }
    self.store = store
  }

  var encoded: [UInt8] {
    var writer = ProtoWriter()
    writer.write(1, store.bytes)
    writer.write(2, position?.bytes ?? [])
    writer.write(3, limit)
    return writer.bytes
  }
}

/// Some names of chunks.
enum ListMessage {
  static func encode(_ page: ChunkPage) -> [UInt8] {
    var writer = ProtoWriter()
    for chunk in page.chunks { writer.write(1, ChunkWire.encode(chunk)) }
    writer.write(2, page.next?.bytes ?? [])
    return writer.bytes
  }

  static func decode(_ message: ReceivedMessage) throws(FormatError) -> ChunkPage {
    var reader = ProtoReader(message.reader)
    var page = ChunkPage(chunks: [], next: nil)
    while let field = try reader.next() {
      switch field {
      case 1:
        guard page.chunks.count < WireLimits.names else { throw FormatError("too many chunks") }
        page.chunks.append(try ChunkWire.decodeName(try reader.message(upTo: 1024)))
      case 2: page.next = try position(try reader.bytes(upTo: 64))
      default: break
      }
    }
    return page
  }

  static func position(_ bytes: [UInt8]) throws(FormatError) -> ChunkListPosition? {
    bytes.isEmpty ? nil : try ChunkListPosition(bytes: bytes)
  }
}

/// How a server and its stores are.
enum HealthMessage {
  private static let states: [StoreHealth.State] = [.active, .full, .fenced, .offline]

  static func encode(_ health: StorageServerHealth) -> [UInt8] {
    var writer = ProtoWriter()
    writer.write(1, health.server.bytes)
    writer.write(2, health.cluster.bytes)
    writer.write(3, health.version)
    for (id, store) in health.stores {
      var entry = ProtoWriter()
      entry.write(1, id.bytes)
      entry.write(2, (states.firstIndex(of: store.state) ?? 3) + 1)
      entry.write(3, store.reason)
      let numbers = [store.capacity, store.used, store.free, store.reserve, store.chunkCount]
      for (offset, number) in numbers.enumerated() { entry.write(4 + offset, max(number, 0)) }
      writer.write(4, entry)
    }
    return writer.bytes
  }

  static func decode(_ message: ReceivedMessage) throws(FormatError) -> StorageServerHealth {
    var reader = ProtoReader(message.reader)
    var server: ServerID?
    var cluster: ClusterID?
    var version = ""
    var stores: [(id: StoreID, health: StoreHealth)] = []
    while let field = try reader.next() {
      switch field {
      case 1: server = try reader.id(ServerKind.self)
      case 2: cluster = try reader.id(ClusterKind.self)
      case 3: version = try reader.text(upTo: 1024)
      case 4:
        guard stores.count < WireLimits.stores else { throw FormatError("too many stores") }
        stores.append(try decodeStore(try reader.message(upTo: 16 * ByteCount.kibibyte)))
      default: break
      }
    }
    guard let server, let cluster else { throw FormatError("a server without its ids") }
    return StorageServerHealth(server: server, cluster: cluster, version: version, stores: stores)
  }

  private static func decodeStore(
    _ reader: ProtoReader<ProtoBytes>
  ) throws(FormatError) -> (id: StoreID, health: StoreHealth) {
    var reader = reader
    var id: StoreID?
    var health = StoreHealth(
      state: .offline, reason: "", capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
    while let field = try reader.next() {
      switch field {
      case 1: id = try reader.id(StoreKind.self)
      case 2:
        let number = try reader.number(upTo: Int(UInt32.max))
        // A state of a later release is one that this one does not write to.
        health.state = states.indices.contains(number - 1) ? states[number - 1] : .offline
      case 3: health.reason = try reader.text(upTo: 4096)
      case 4: health.capacity = try reader.number(upTo: Int.max)
      case 5: health.used = try reader.number(upTo: Int.max)
      case 6: health.free = try reader.number(upTo: Int.max)
      case 7: health.reserve = try reader.number(upTo: Int.max)
      case 8: health.chunkCount = try reader.number(upTo: Int.max)
      default: break
      }
    }
    guard let id else { throw FormatError("a store without an id") }
    return (id, health)
  }
}
