import Base
import ChunkStore
import Erasure
import Metadata
import ObjectEngine
import Placement
import Runtime
import Sealing

/// The wrapped key-encryption keys as every store has them, in the open: they are of no use without
/// the master key.
///
/// The data of a small chunk without parity, under an id of its own: `S3KEYS01`, cluster id (16),
/// number of keys (varint), each: number (u32), wrapped key (60), length of the master check
/// (varint) and the check, time of making (i64, ms); zeros up to a multiple of 64.
struct KeyRecord: Hashable, Sendable {
  private static let magic = Array("S3KEYS01".utf8)
  private static let maximumCount = 4096

  static let chunk = ChunkID(extent: SystemExtentID.keys.id(random: 0), index: 0)

  var cluster: ClusterID
  var keys: [StoredEncryptionKey]

  var encoded: [UInt8] {
    var writer = ByteWriter(capacity: 64 + 100 * keys.count)
    writer.write(Self.magic)
    writer.write(cluster.bytes)
    writer.writeVarint(keys.count)
    for key in keys.sorted(by: { $0.number < $1.number }) {
      writer.write(key.number)
      writer.write(key.wrapped)
      writer.writeSized(key.masterCheck)
      writer.write(key.created.milliseconds)
    }
    writer.pad(to: 64)
    return writer.bytes
  }

  init(cluster: ClusterID, keys: [StoredEncryptionKey]) {
    self.cluster = cluster
    self.keys = keys
  }

  init(decoding bytes: [UInt8]) throws(FormatError) {
    var reader = ByteReader(bytes)
    guard try reader.read(Self.magic.count).elementsEqual(Self.magic),
      let cluster = ClusterID(bytes: try reader.read(16))
    else { throw FormatError("no record of keys") }
    self.cluster = cluster
    let count = try reader.readVarint()
    guard count <= Self.maximumCount else { throw FormatError("too many keys") }
    keys = []
    for _ in 0..<count {
      let number = try reader.readInteger(UInt32.self)
      let wrapped = Array(try reader.read(WrappedKeyEncryptionKey.byteCount))
      let check = try reader.readSized(limit: 64)
      let created = Timestamp(milliseconds: try reader.readInteger())
      keys.append(
        StoredEncryptionKey(
          number: number, wrapped: wrapped, masterCheck: check, created: created))
    }
  }

  /// What a store has; nil when it has none or does not give it.
  static func read(from store: any ChunkStore) async -> KeyRecord? {
    do {
      let reader = try await store.openChunk(chunk)
      defer { reader.close() }
      let length = reader.trailer.dataLength
      guard length > 0, length <= ChunkLimits.smallDataLength else { return nil }
      let buffer = AlignedBuffer(count: length)
      try await reader.read(0..<length, into: buffer, at: 0)
      return try KeyRecord(decoding: buffer.bytes(0..<length))
    } catch {
      return nil
    }
  }

  /// Puts it into a store, in the place of the one that is there.
  func write(to store: any ChunkStore) async throws(ChunkStoreError) {
    guard let scheme = ErasureScheme(data: 1, parity: 0) else { return }
    let bytes = encoded
    let buffer = AlignedBuffer(count: bytes.count)
    buffer.copy(bytes)
    let digester = ChunkDigester(id: Self.chunk)
    unsafe buffer.withBytes(0..<bytes.count) { unsafe digester.append($0) }
    try await store.putSmall(
      ChunkHeader(id: Self.chunk, scheme: scheme, cluster: cluster), data: buffer,
      range: 0..<bytes.count,
      trailer: digester.finish(
        extentLength: bytes.count, storedLength: bytes.count, wrappedKey: [], descriptor: []),
      space: .reserve)
  }
}

/// Sees to it that every store has the keys, but for those that are being emptied.
struct KeyPublisher: Sendable {
  let engine: ObjectEngine
  let metadata: any MetadataStore

  /// The stores that are to have the keys.
  var targets: [any ChunkStore] {
    let ring = engine.stores.ring
    return engine.stores.all.filter { ring.node($0.id)?.state != .draining }
  }

  /// Writes the keys as the metadata has them to the stores that have others. Returns how many of
  /// the stores that are to have them do so now.
  ///
  /// A store that is being emptied gets none; the ones that it still has are kept up to date.
  @concurrent
  func publish() async throws -> Int {
    let keys = try await metadata.encryptionKeys()
    let record = KeyRecord(cluster: engine.clusterID, keys: keys)
    let engine = engine
    let targets = Set(targets.map(\.id))
    return await withTaskGroup(of: Bool.self) { group in
      for store in engine.stores.all {
        let isTarget = targets.contains(store.id)
        group.addTask(executorPreference: engine.pool) {
          let found = await KeyRecord.read(from: store)
          guard found != record, isTarget || found != nil else { return isTarget }
          do throws(ChunkStoreError) {
            try await record.write(to: store)
            return isTarget
          } catch {
            return false
          }
        }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
  }
}
