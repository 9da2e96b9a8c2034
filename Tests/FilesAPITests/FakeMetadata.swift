import Base
import Metadata
import Synchronization

/// Metadata in memory with what identities and files need; the rest throws. Faults can be set.
final class FakeMetadata: MetadataStore {
  struct State {
    var users: [User] = []
    var keys: [String: AccessKey] = [:]
    var generation: Int64 = 1
    var buckets: [Bucket] = []
    var versions: [VersionKey: ObjectVersion] = [:]
    var extents: [VersionNumber: [Extent]] = [:]
    var files: [FileID: FileRecord] = [:]
    var settings: [String: [UInt8]] = [:]
    var discarded: [ExtentID] = []
    var keyLookUps = 0
    /// Every state that a file was put into, in order.
    var fileStates: [FileID: [FileRecord.State]] = [:]
    /// What the next calls of these names throw.
    var faults: [String: MetadataError] = [:]
  }

  struct VersionKey: Hashable {
    var bucket: BucketID
    var key: [UInt8]
  }

  let state = Mutex(State())

  func fail(_ name: String, _ error: MetadataError?) {
    state.withLock { $0.faults[name] = error }
  }

  private func locked<R>(
    _ name: String = "", _ body: (inout State) throws -> R
  ) throws -> R {
    try state.withLock { state in
      if let fault = state.faults[name] { throw fault }
      return try body(&state)
    }
  }

  private static let absent = MetadataError.unavailable("not in this fake")

  // MARK: Buckets

  func createBucket(
    name: String, tenant: Int64, owner: UserID, purpose: Bucket.Purpose
  ) async throws -> Bucket {
    try locked { state in
      if let known = state.buckets.first(where: { $0.name == name && $0.tenant == tenant }) {
        throw MetadataError.bucketExists(ownedByCaller: known.owner == owner)
      }
      let bucket = Bucket(
        id: BucketID(Int64(state.buckets.count + 1)), tenant: tenant, name: name, owner: owner,
        created: Timestamp(seconds: 1), purpose: purpose, versioning: .off)
      state.buckets.append(bucket)
      return bucket
    }
  }

  func bucket(named name: String, tenant: Int64) async throws -> Bucket? {
    try locked("bucket") { $0.buckets.first { $0.name == name && $0.tenant == tenant } }
  }

  func bucket(_ id: BucketID) async throws -> Bucket? {
    try locked { $0.buckets.first { $0.id == id } }
  }

  func setVersioning(_ id: BucketID, _ versioning: Bucket.Versioning) async throws {
    throw Self.absent
  }

  func deleteBucket(_ id: BucketID) async throws { throw Self.absent }

  func listBuckets(
    tenant: Int64, owner: UserID?, purpose: Bucket.Purpose?, prefix: String, after: String,
    limit: Int
  ) async throws -> [Bucket] { throw Self.absent }

  func usage(of bucket: BucketID) async throws -> Usage { throw Self.absent }

  // MARK: Objects

  func lookUp(
    bucket: String, tenant: Int64, key: [UInt8], versionID: String?, withContent: Bool
  ) async throws -> ObjectLookup {
    try locked { state in
      guard let found = state.buckets.first(where: { $0.name == bucket && $0.tenant == tenant })
      else { return ObjectLookup(bucket: nil, version: nil) }
      return ObjectLookup(
        bucket: found, version: state.versions[VersionKey(bucket: found.id, key: key)])
    }
  }

  func extents(of version: VersionNumber, in range: Range<Int64>) async throws -> [ExtentLink] {
    try locked { state in
      var offset: Int64 = 0
      var result: [ExtentLink] = []
      for (ordinal, extent) in (state.extents[version] ?? []).enumerated() {
        let held = offset..<offset + extent.plaintextLength
        if held.overlaps(range) {
          result.append(
            ExtentLink(
              ordinal: ordinal, offset: offset, length: extent.plaintextLength, partNumber: 0,
              extent: extent))
        }
        offset = held.upperBound
      }
      return result
    }
  }

  func extent(of version: VersionNumber, part: Int) async throws -> ExtentLink? {
    try locked { state in
      guard part == 0, let extent = state.extents[version]?.first else { return nil }
      return ExtentLink(
        ordinal: 0, offset: 0, length: extent.plaintextLength, partNumber: 0, extent: extent)
    }
  }

  func commit(_ commit: ObjectCommit) async throws -> CommittedVersion {
    try locked("commit") { state in
      let key = VersionKey(bucket: commit.bucket, key: commit.key)
      if commit.condition == .absent, state.versions[key] != nil {
        throw MetadataError.preconditionFailed
      }
      var extents: [Extent] = []
      if case .extents(let made) = commit.content { extents = made }
      let time = Timestamp(seconds: 1_700_000_000)
      state.versions[key] = ObjectVersion(
        number: commit.version.number, nonce: nil, isDeleteMarker: false, bucket: commit.bucket,
        key: commit.key, sequence: 1, size: commit.size, etag: commit.etag, lastModified: time,
        attributes: commit.attributes, checksum: commit.checksum,
        storageClass: commit.storageClass, owner: commit.owner, partCount: 0,
        extentCount: extents.count, inline: nil)
      state.extents[commit.version.number] = extents
      return CommittedVersion(
        number: commit.version.number, versionID: nil, lastModified: time)
    }
  }

  func replaceAttributes(
    bucket: BucketID, key: [UInt8], expected: VersionNumber, version: OpaqueID,
    attributes: ObjectAttributes, storageClass: String, checksum: StoredChecksum?
  ) async throws -> CommittedVersion { throw Self.absent }

  func delete(
    bucket: BucketID, key: [UInt8], versionID: String?, condition: WriteCondition
  ) async throws -> DeletedVersion {
    try locked("delete") { state in
      let version = state.versions.removeValue(forKey: VersionKey(bucket: bucket, key: key))
      if let version, let extents = state.extents.removeValue(forKey: version.number) {
        state.discarded += extents.map(\.id)
      }
      return DeletedVersion(existed: version != nil)
    }
  }

  func list(_ request: ListRequest) async throws -> ListPage { throw Self.absent }

  // MARK: Uploads

  func createUpload(_ upload: MultipartUpload) async throws -> MultipartUpload {
    throw Self.absent
  }
  func upload(_ id: OpaqueID, bucket: BucketID, key: [UInt8]) async throws -> MultipartUpload? {
    throw Self.absent
  }
  func commitPart(
    _ part: UploadedPart, extent: Extent, upload: OpaqueID
  ) async throws -> UploadedPart { throw Self.absent }
  func parts(of upload: OpaqueID, after: Int, limit: Int) async throws -> [UploadedPart] {
    throw Self.absent
  }
  func complete(_ completion: UploadCompletion) async throws -> CommittedVersion {
    throw Self.absent
  }
  func confirmLogged(_ version: VersionNumber) async throws {}
  func completedVersion(
    of upload: OpaqueID, bucket: BucketID, key: [UInt8]
  ) async throws -> ObjectVersion? { throw Self.absent }
  func abort(_ upload: OpaqueID, bucket: BucketID, key: [UInt8]) async throws {
    throw Self.absent
  }
  func listUploads(_ request: UploadListRequest) async throws -> UploadPage { throw Self.absent }

  // MARK: Identities

  func createUser(
    name: String, tenant: Int64, email: String?, role: User.Role
  ) async throws -> User {
    try locked { state in
      guard !state.users.contains(where: { $0.name == name }) else {
        throw MetadataError.alreadyExists("user \(name)")
      }
      let user = User(
        id: UserID(Int64(state.users.count + 1)), tenant: tenant, name: name, email: email,
        role: role, isDisabled: false, created: Timestamp(seconds: 1))
      state.users.append(user)
      state.generation += 1
      return user
    }
  }

  func listUsers(tenant: Int64, after: String, limit: Int) async throws -> [User] {
    try locked { state in
      Array(state.users.filter { $0.name > after }.sorted { $0.name < $1.name }.prefix(limit))
    }
  }

  func user(named name: String, tenant: Int64) async throws -> User? {
    try locked { $0.users.first { $0.name == name } }
  }

  func user(_ id: UserID) async throws -> User? {
    try locked { $0.users.first { $0.id == id } }
  }

  func setDisabled(_ id: UserID, _ isDisabled: Bool) async throws {
    try locked { state in
      guard let index = state.users.firstIndex(where: { $0.id == id }) else {
        throw MetadataError.notFound("user")
      }
      state.users[index].isDisabled = isDisabled
      state.generation += 1
    }
  }

  func createAccessKey(_ key: AccessKey) async throws -> AccessKey {
    try locked { state in
      guard state.keys[key.id] == nil else { throw MetadataError.alreadyExists("key \(key.id)") }
      state.keys[key.id] = key
      state.generation += 1
      return key
    }
  }

  func listAccessKeys(of user: UserID?) async throws -> [AccessKey] {
    try locked { state in
      state.keys.values.filter { user == nil || $0.user == user }.sorted { $0.id < $1.id }
    }
  }

  func revokeAccessKey(_ id: String) async throws {
    try locked { state in
      guard state.keys[id] != nil else { throw MetadataError.notFound("key \(id)") }
      state.keys[id]?.isRevoked = true
      state.generation += 1
    }
  }

  func accessKey(_ id: String) async throws -> (key: AccessKey, user: User)? {
    try locked("accessKey") { state in
      state.keyLookUps += 1
      guard let key = state.keys[id], let user = state.users.first(where: { $0.id == key.user })
      else { return nil }
      return (key, user)
    }
  }

  func accessKey(bearerDigest: [UInt8]) async throws -> (key: AccessKey, user: User)? {
    throw Self.absent
  }

  func identityGeneration() async throws -> Int64 {
    try locked("identityGeneration") { $0.generation }
  }

  func encryptionKeys() async throws -> [StoredEncryptionKey] { throw Self.absent }

  func replaceEncryptionKeys(
    _ keys: [StoredEncryptionKey], expected: [UInt32]
  ) async throws { throw Self.absent }

  func setting(_ name: String) async throws -> [UInt8]? {
    try locked { $0.settings[name] }
  }

  func setSetting(_ name: String, _ value: [UInt8]) async throws {
    try locked { $0.settings[name] = value }
  }

  // MARK: Files

  func createFile(_ record: FileRecord) async throws {
    try locked("createFile") { state in
      state.files[record.id] = record
      state.fileStates[record.id, default: []].append(record.state)
    }
  }

  func updateFile(
    _ id: FileID, state: FileRecord.State, size: Int64, sha256: SHA256Digest?
  ) async throws {
    try locked("updateFile \(state.name)") { all in
      guard all.files[id] != nil else { throw MetadataError.notFound("file") }
      all.files[id]?.state = state
      all.files[id]?.size = size
      all.files[id]?.sha256 = sha256
      all.fileStates[id, default: []].append(state)
    }
  }

  func file(_ id: FileID) async throws -> FileRecord? {
    try locked("file") { $0.files[id] }
  }

  func listFiles(
    user: UserID, state: FileRecord.State?, offset: Int, limit: Int
  ) async throws -> (files: [FileRecord], total: Int) {
    try locked { all in
      let mine = all.files.values.filter { $0.user == user && (state == nil || $0.state == state) }
        .sorted { ($1.created, $1.id) < ($0.created, $0.id) }
      return (Array(mine.dropFirst(offset).prefix(limit)), mine.count)
    }
  }

  func deleteFile(_ id: FileID) async throws {
    try locked { _ = $0.files.removeValue(forKey: id) }
  }

  func staleFiles(before: Timestamp, limit: Int) async throws -> [FileRecord] {
    throw Self.absent
  }

  // MARK: Writers and maintenance

  func beginWriter(minimum: UInt64, ringVersion: Int64) async throws -> WriterLease {
    throw Self.absent
  }
  func renewWriter(oldestRead: Timestamp?) async throws { throw Self.absent }
  func endWriter() async throws { throw Self.absent }
  func unsweptEpochs() async throws -> [UInt64] { throw Self.absent }
  func markSwept(epoch: UInt64) async throws { throw Self.absent }
  func named(among extents: [ExtentID]) async throws -> Set<ExtentID> { throw Self.absent }
  func tombstones(before: Timestamp, limit: Int) async throws -> [Tombstone] {
    throw Self.absent
  }
  func confirm(_ confirmations: [(extent: ExtentID, chunks: UInt32)]) async throws {
    throw Self.absent
  }

  var unresolvedCount: Int { 0 }

  func discard(_ extents: [(id: ExtentID, stores: [StoreID])]) async throws {
    try locked { $0.discarded += extents.map(\.id) }
  }

  func queueRepairs(_ repairs: [(extent: ExtentID, chunks: UInt32)], reason: String) async throws {}
  func repairs(limit: Int) async throws -> [RepairItem] { throw Self.absent }
  func finishRepairs(_ repairs: [FinishedRepair]) async throws -> [Bool] { throw Self.absent }
  func postponeRepair(_ extent: ExtentID, reason: String) async throws { throw Self.absent }
  func extents(after: ExtentID?, limit: Int) async throws -> [Extent] { throw Self.absent }
  func underSpread(after: ExtentID?, limit: Int) async throws -> [Extent] { throw Self.absent }
  func foldUsage(limit: Int) async throws -> Int { throw Self.absent }

  func counts() async throws -> MetadataCounts {
    try locked { state in
      MetadataCounts(
        objects: Int64(state.versions.count), versions: Int64(state.versions.count),
        extents: Int64(state.extents.count), inlineObjects: 0, uploads: 0,
        tombstones: Int64(state.discarded.count), repairs: 0, underSpread: 0, quarantined: 0,
        bytes: 0)
    }
  }

  func staleUploads(before: Timestamp, limit: Int) async throws -> [MultipartUpload] {
    throw Self.absent
  }
  func now() async throws -> Timestamp { throw Self.absent }
  func backup(to path: String) async throws { throw Self.absent }
}
