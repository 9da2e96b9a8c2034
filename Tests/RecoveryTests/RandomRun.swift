import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Testing

@testable import Recovery

/// Random mutations of every kind that the repository has, through one or more gateways.
struct RandomRun {
  let nodes: [RecoveryNode]
  var random: SeededRandom
  private(set) var keys: [String] = (0..<12).map { "key-\($0)" }
  private(set) var buckets: [Bucket] = []
  private(set) var uploads: [(MultipartUpload, Bucket)] = []
  private var files: [FileID] = []
  private var users: [User] = []

  init(_ nodes: [RecoveryNode], seed: UInt64) async throws {
    self.nodes = nodes
    random = SeededRandom(seed: seed)
    for name in ["plain", "versioned"] { buckets.append(try await nodes[0].bucket(name)) }
    try await nodes[0].store.setVersioning(buckets[1].id, .enabled)
    users.append(
      try await nodes[0].store.createUser(name: "first", tenant: 1, email: nil, role: .user))
  }

  private func pick<T>(_ list: [T]) -> T { list[Int(random.next() % UInt64(list.count))] }

  private func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }

  /// One step; refusals are part of it.
  mutating func step(_ number: Int) async throws {
    let node = pick(nodes)
    let bucket = pick(buckets)
    let key = pick(keys)
    do {
      switch random.next() % 20 {
      case 0...5:
        let size = pick([0, 10, 3000, 17_000, 60_000])
        let condition: WriteCondition = chance(30) ? .absent : chance(20) ? .exists : .none
        try await node.put(key, random.bytes(size), in: bucket, condition: condition)
      case 6...8:
        _ = try await node.store.delete(
          bucket: bucket.id, key: Array(key.utf8), versionID: chance(20) ? "null" : nil,
          condition: .none)
      case 9: try await deleteVersion(node, bucket, key)
      case 10: try await replaceAttributes(node, bucket, key)
      case 11...12: try await multipart(node, bucket, key)
      case 13: try await identities(node, number)
      case 14: try await fileRecords(node, number)
      case 15: try await bucketLife(node, number)
      case 16: try await move(node)
      case 17:
        try await node.store.setSetting("test-\(random.next() % 3)", random.bytes(5))
      case 18: try await maintenance(node)
      default: try await abandon(node, bucket)
      }
    } catch is MetadataError {
    } catch EngineError.metadata(_) {
    }
  }

  private func deleteVersion(
    _ node: RecoveryNode, _ bucket: Bucket, _ key: String
  ) async throws {
    let found = try await node.store.lookUp(
      bucket: bucket.name, tenant: 1, key: Array(key.utf8), versionID: nil, withContent: false)
    guard let version = found.version else { return }
    _ = try await node.store.delete(
      bucket: bucket.id, key: Array(key.utf8), versionID: version.versionID, condition: .none)
  }

  private func replaceAttributes(
    _ node: RecoveryNode, _ bucket: Bucket, _ key: String
  ) async throws {
    let found = try await node.store.lookUp(
      bucket: bucket.name, tenant: 1, key: Array(key.utf8), versionID: nil, withContent: false)
    guard let version = found.version else { return }
    _ = try await node.store.replaceAttributes(
      bucket: bucket.id, key: Array(key.utf8), expected: version.number,
      version: node.engine.writer.nextOpaqueID(),
      attributes: ObjectAttributes(tags: [.init(name: "tag", value: "\(random.next())")]),
      storageClass: "STANDARD", checksum: nil)
  }

  private mutating func multipart(
    _ node: RecoveryNode, _ bucket: Bucket, _ key: String
  ) async throws {
    if uploads.count < 4 || chance(30) {
      let upload = try await node.engine.createUpload(
        bucket: bucket, key: Array(key.utf8), attributes: ObjectAttributes(),
        storageClass: "STANDARD", owner: RecoveryFixture.owner, algorithm: nil, type: nil)
      uploads.append((upload, bucket))
      return
    }
    let place = Int(random.next() % UInt64(uploads.count))
    let (upload, bucket) = uploads[place]
    let parts = try await node.store.parts(of: upload.id, after: 0, limit: 100)
    if parts.count < 2 || chance(40) {
      _ = try await node.engine.putPart(
        1 + Int(random.next() % 3), of: upload, bucket: bucket,
        from: ArraySource(random.bytes(20_000)), algorithms: [.crc64nvme])
      return
    }
    uploads.remove(at: place)
    if chance(30) {
      try await node.store.abort(upload.id, bucket: bucket.id, key: upload.key)
      return
    }
    _ = try await node.store.complete(
      UploadCompletion(
        upload: upload.id, bucket: bucket.id, key: upload.key,
        parts: chance(70) ? parts : Array(parts.dropFirst()),
        version: node.engine.writer.nextOpaqueID(), etag: "parts", checksum: nil,
        condition: .none))
  }

  private mutating func identities(_ node: RecoveryNode, _ number: Int) async throws {
    switch random.next() % 4 {
    case 0:
      users.append(
        try await node.store.createUser(
          name: "user-\(number)", tenant: 1, email: nil, role: .user))
    case 1: try await node.store.setDisabled(pick(users).id, chance(50))
    case 2:
      _ = try await node.store.createAccessKey(
        AccessKey(
          id: "AK\(number)", user: pick(users).id, sealedSecret: random.bytes(40),
          bearerDigest: random.bytes(32), note: "n", isRevoked: false, expires: nil,
          created: Timestamp(milliseconds: 0)))
    default:
      if let key = try await node.store.listAccessKeys(of: nil).first {
        try await node.store.revokeAccessKey(key.id)
      }
    }
  }

  private mutating func fileRecords(_ node: RecoveryNode, _ number: Int) async throws {
    if files.isEmpty || chance(50) {
      let id = FileID(high: random.next(), low: random.next())
      files.append(id)
      let now = node.fixture.clock.now
      try await node.store.createFile(
        FileRecord(
          id: id, user: pick(users).id, bucket: buckets[0].id, name: "file-\(number)",
          state: .pending, size: 0, contentType: "text/plain", sha256: nil, created: now,
          updated: now))
    } else if chance(60) {
      try await node.store.updateFile(
        pick(files), state: .completed, size: 7, sha256: SHA256Digest(random.bytes(32)))
    } else {
      try await node.store.deleteFile(files.removeLast())
    }
  }

  private func bucketLife(_ node: RecoveryNode, _ number: Int) async throws {
    let bucket = try await node.bucket("bucket-\(random.next() % 3)")
    if chance(40) { try await node.store.setVersioning(bucket.id, .suspended) }
    if chance(60) { try await node.store.deleteBucket(bucket.id) }
  }

  /// What a repair records that put a chunk elsewhere.
  private func move(_ node: RecoveryNode) async throws {
    guard let extent = try await node.store.extents(after: nil, limit: 100).last else { return }
    try await node.store.queueRepair(extent.id, chunks: 1, reason: "test")
    var stores = extent.stores
    stores.swapAt(0, 1)
    _ = try await node.store.finishRepair(
      extent.id, chunks: 3, stores: stores, generation: extent.generation)
    // And back, so that the chunks are where the row says.
    _ = try await node.store.finishRepair(
      extent.id, chunks: 3, stores: extent.stores, generation: extent.generation + 1)
  }

  private func maintenance(_ node: RecoveryNode) async throws {
    _ = try await node.store.foldUsage(limit: 100)
    let due = try await node.store.tombstones(
      before: node.fixture.clock.now.advanced(byMilliseconds: 3_600_000), limit: 3)
    let done = due.map { (extent: $0.extent, chunks: chance(50) ? UInt32(0x3f) : 5) }
    for (tombstone, confirmation) in zip(due, done) {
      for (index, place) in tombstone.stores.enumerated()
      where confirmation.chunks & 1 << UInt32(index) != 0 {
        let store = node.fixture.stores.first { $0.id == place }
        try await withTaskExecutorPreference(RecoveryFixture.pool) {
          try await store?.delete([ChunkID(extent: tombstone.extent, index: UInt8(index))])
        }
      }
    }
    try await node.store.confirm(done)
  }

  /// Content whose commit is refused: its extent becomes a tombstone.
  private func abandon(_ node: RecoveryNode, _ bucket: Bucket) async throws {
    try await node.put("always", [1], in: bucket)
    try await node.put("always", random.bytes(20_000), in: bucket, condition: .absent)
  }
}
