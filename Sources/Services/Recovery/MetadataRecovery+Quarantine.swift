public import Base
import ChunkStore
import Erasure
public import Metadata
import ObjectEngine
import Runtime
import Sealing

/// Why a quarantined extent was not adopted.
public enum AdoptionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Fewer of its chunks are there than are needed to read it, or its descriptor does not open.
  case unreadable
  /// It is one part of an upload: it can only become an object under a key that is given.
  case isPart
  /// There is no bucket of that name.
  case noBucket(String)
  /// The key has an object; it is replaced only where that is asked for.
  case isTaken

  /// One line for an operator.
  public var description: String {
    switch self {
    case .unreadable: "too few of its chunks are there to read it"
    case .isPart: "it is one part of an upload: name a key under which it becomes an object"
    case .noBucket(let name): "there is no bucket \(name): make one, or name another"
    case .isTaken: "the key has an object: name another key, or ask to replace it"
    }
  }
}

extension MetadataRecovery {
  /// Quarantined extents by id behind `after`.
  public func quarantined(after: ExtentID?, limit: Int) async throws -> [QuarantinedExtent] {
    try await metadata.quarantined(after: after, limit: limit)
  }

  /// Makes an object of a quarantined extent: a copy of its content under its own key or the one
  /// that is given. Its chunks become a tombstone. Returns the bucket and key.
  ///
  /// Throws `AdoptionError`, `MetadataError.notFound`, `EngineError`.
  public func adopt(
    _ id: ExtentID, bucket named: String? = nil, key given: [UInt8]? = nil, replacing: Bool = false,
    tenant: Int64 = 1
  ) async throws -> (bucket: String, key: [UInt8]) {
    guard let item = try await metadata.quarantined(id) else {
      throw MetadataError.notFound("quarantined extent")
    }
    let (extent, descriptor) = try await witness(item)
    guard descriptor.kind == .object || descriptor.kind == .file || given != nil else {
      throw AdoptionError.isPart
    }
    let name = named ?? descriptor.bucketName
    guard let bucket = try await metadata.bucket(named: name, tenant: tenant) else {
      throw AdoptionError.noBucket(name)
    }
    let key = given ?? descriptor.key
    let request = PutRequest(
      bucket: bucket, key: key, attributes: ObjectAttributes(descriptor),
      storageClass: descriptor.storageClass.isEmpty ? "STANDARD" : descriptor.storageClass,
      owner: UserID(Int64(descriptor.ownerID)), condition: replacing ? .none : .absent,
      allowsInline: descriptor.kind != .file)
    do {
      _ = try await engine.copy(extent, to: request)
    } catch EngineError.metadata(.preconditionFailed) {
      throw AdoptionError.isTaken
    }
    if descriptor.kind == .file, given == nil {
      try await register(descriptor, in: bucket)
    }
    try await metadata.releaseFromQuarantine(id, dropping: true)
    return (name, key)
  }

  /// Gives a quarantined extent up: its chunks are deleted after the delay of all deletions. Throws
  /// `MetadataError.notFound`.
  public func drop(_ id: ExtentID) async throws {
    try await metadata.releaseFromQuarantine(id, dropping: true)
  }

  private func witness(
    _ item: QuarantinedExtent
  ) async throws -> (Extent, ExtentDescriptor) {
    var places: [Int: [StoreID]] = [:]
    for (index, store) in item.stores.enumerated() {
      if let store { places[index] = [store] }
    }
    let stores = Dictionary(
      engine.stores.all.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let cluster = engine.clusterID
    let found = await withTaskExecutorPreference(engine.pool) {
      await ChunkWitness.ask(item.id, places: places, stores, cluster: cluster)
    }
    guard let found, let descriptor = try? found.opened(engine.keys),
      descriptor.transform == .none,
      found.extent.missing.nonzeroBitCount <= found.extent.parityCount
    else { throw AdoptionError.unreadable }
    return (found.extent, descriptor)
  }

  /// The record of the Files API for a file that was adopted.
  private func register(_ descriptor: ExtentDescriptor, in bucket: Bucket) async throws {
    guard let slash = descriptor.key.firstIndex(of: 0x2f),
      let id = FileID(hex: String(decoding: descriptor.key[..<slash], as: UTF8.self))
    else { return }
    let now = try await metadata.now()
    let record = FileRecord(
      id: id, user: UserID(Int64(descriptor.ownerID)), bucket: bucket.id,
      name: String(decoding: descriptor.key[(slash + 1)...], as: UTF8.self), state: .completed,
      size: Int64(descriptor.byteCount),
      contentType: descriptor.headers.first { $0.name == "content-type" }?.value
        ?? "application/octet-stream", sha256: descriptor.plaintextSHA256,
      created: descriptor.lastModified, updated: now)
    do {
      try await metadata.createFile(record)
    } catch MetadataError.alreadyExists {
      try await metadata.updateFile(
        id, state: .completed, size: record.size, sha256: record.sha256)
    }
  }
}

extension ObjectAttributes {
  /// What a descriptor carries of them: tags are in the metadata only.
  init(_ descriptor: ExtentDescriptor) {
    self.init(
      headers: descriptor.headers.map { .init(name: $0.name, value: $0.value) },
      metadata: descriptor.userMetadata.map { .init(name: $0.name, value: $0.value) })
  }
}
