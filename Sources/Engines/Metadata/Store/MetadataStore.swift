public import Base

/// Everything that is known about objects but their bytes.
///
/// One linearisation point for every write: the commit of its transaction. All functions may be
/// called from any task; they hop to wherever their database wants to be called. Each throws
/// `MetadataError` and nothing else; a write that throws anything but `unknownOutcome` has changed
/// nothing.
public protocol MetadataStore: BucketStore, ObjectStore, UploadStore, IdentityStore, FileStore,
  WriterStore, MaintenanceStore
{}

/// Buckets.
public protocol BucketStore: Sendable {
  /// Makes a bucket. Throws `bucketExists` when the tenant has one of that name.
  func createBucket(
    name: String, tenant: Int64, owner: UserID, purpose: Bucket.Purpose
  ) async throws -> Bucket

  /// The bucket of that name, nil when there is none.
  func bucket(named name: String, tenant: Int64) async throws -> Bucket?

  /// The bucket of that id, nil when there is none.
  func bucket(_ id: BucketID) async throws -> Bucket?

  /// Deletes an empty bucket: one without versions, uploads and parts; else `bucketNotEmpty`.
  func deleteBucket(_ id: BucketID) async throws

  /// Has a bucket keep versions, or keep no new ones. Throws `preconditionFailed` for `off`, which
  /// only a bucket that never kept versions is.
  func setVersioning(_ id: BucketID, _ versioning: Bucket.Versioning) async throws

  /// Buckets of a tenant by name, behind `after`, beginning with `prefix`, at most `limit`; only
  /// those of `owner` unless it is nil.
  func listBuckets(
    tenant: Int64, owner: UserID?, purpose: Bucket.Purpose?, prefix: String, after: String,
    limit: Int
  ) async throws -> [Bucket]

  /// Objects and bytes of a bucket: the folded totals and what is not folded yet.
  func usage(of bucket: BucketID) async throws -> Usage
}

/// What one look-up tells of a key.
public struct ObjectLookup: Hashable, Sendable {
  /// The bucket; nil when there is none of that name.
  public var bucket: Bucket?
  /// The version that was asked for, or the current one; nil when there is none. It may be a
  /// delete marker.
  public var version: ObjectVersion?

  /// Makes a look-up of its fields.
  public init(bucket: Bucket?, version: ObjectVersion?) {
    self.bucket = bucket
    self.version = version
  }
}

/// Objects and their versions.
public protocol ObjectStore: Sendable {
  /// The bucket and one version of a key, by one statement; inline content comes along when
  /// `withContent`. `versionID` nil asks for the current version, `"null"` for the null version;
  /// a text that names no version of that key gives none.
  func lookUp(
    bucket: String, tenant: Int64, key: [UInt8], versionID: String?, withContent: Bool
  ) async throws -> ObjectLookup

  /// The extents of a version that hold any byte of `range` of the object, in order.
  func extents(of version: VersionNumber, in range: Range<Int64>) async throws -> [ExtentLink]

  /// The extent that holds one part of a multipart object, nil when it has no such part.
  func extent(of version: VersionNumber, part: Int) async throws -> ExtentLink?

  /// Makes a version current: checks the writer, the bucket and the condition, inserts the rows,
  /// replaces the version before it (its extents become tombstones) and queues missing chunks for
  /// repair; all in one transaction.
  func commit(_ commit: ObjectCommit) async throws -> CommittedVersion

  /// Replaces headers, metadata, storage class and checksum of the current version, whose extents
  /// move to a new version row (`version`): S3's copy of an object to itself. Throws
  /// `preconditionFailed` unless the current version is `expected`.
  func replaceAttributes(
    bucket: BucketID, key: [UInt8], expected: VersionNumber, version: OpaqueID,
    attributes: ObjectAttributes, storageClass: String, checksum: StoredChecksum?
  ) async throws -> CommittedVersion

  /// Deletes the current object of a key, or one version of it. Deleting nothing is no error.
  func delete(
    bucket: BucketID, key: [UInt8], versionID: String?, condition: WriteCondition
  ) async throws -> DeletedVersion

  /// A page of current objects. Costs the same at any size of the bucket; a delimiter skips.
  func list(_ request: ListRequest) async throws -> ListPage
}

/// Multipart uploads.
public protocol UploadStore: Sendable {
  /// Begins an upload; its `initiated` is set by the database and returned with it.
  func createUpload(_ upload: MultipartUpload) async throws -> MultipartUpload

  /// The upload of that id in that bucket and key, nil when there is none.
  func upload(_ id: OpaqueID, bucket: BucketID, key: [UInt8]) async throws -> MultipartUpload?

  /// Records a part and its extent; a part of that number before it becomes a tombstone.
  func commitPart(_ part: UploadedPart, extent: Extent, upload: OpaqueID) async throws
    -> UploadedPart

  /// Parts by number behind `after`, at most `limit`.
  func parts(of upload: OpaqueID, after: Int, limit: Int) async throws -> [UploadedPart]

  /// Makes the parts one object and ends the upload; parts that are not named become tombstones.
  func complete(_ completion: UploadCompletion) async throws -> CommittedVersion

  /// The object that `complete` made of this upload earlier, so that a repeated Complete of an
  /// upload answers as the first did; nil when there is none.
  func completedVersion(of upload: OpaqueID, bucket: BucketID, key: [UInt8]) async throws
    -> ObjectVersion?

  /// Returns when a version that was found is as durable as one that its writer acknowledged:
  /// before a repeated request is answered with it. Throws `unknownOutcome` when it may not be.
  func confirmLogged(_ version: VersionNumber) async throws

  /// Ends an upload and makes its parts tombstones. Throws `noSuchUpload`.
  func abort(_ upload: OpaqueID, bucket: BucketID, key: [UInt8]) async throws

  /// A page of uploads.
  func listUploads(_ request: UploadListRequest) async throws -> UploadPage
}

/// Users, their keys, and the keys that seal.
public protocol IdentityStore: Sendable {
  /// Makes a user. Throws `alreadyExists`.
  func createUser(name: String, tenant: Int64, email: String?, role: User.Role) async throws -> User

  /// Users of a tenant by name.
  func listUsers(tenant: Int64, after: String, limit: Int) async throws -> [User]

  /// The user of that name, nil when there is none.
  func user(named name: String, tenant: Int64) async throws -> User?

  /// The user of that id, nil when there is none.
  func user(_ id: UserID) async throws -> User?

  /// Refuses or admits a user from now on.
  func setDisabled(_ id: UserID, _ isDisabled: Bool) async throws

  /// Adds a key. Throws `alreadyExists` when the id is taken.
  func createAccessKey(_ key: AccessKey) async throws -> AccessKey

  /// Keys of a user, or of everyone, by id.
  func listAccessKeys(of user: UserID?) async throws -> [AccessKey]

  /// Revokes a key for good. Throws `notFound`.
  func revokeAccessKey(_ id: String) async throws

  /// A key and its user, nil when there is none.
  func accessKey(_ id: String) async throws -> (key: AccessKey, user: User)?

  /// A key by the digest of its bearer form, nil when there is none.
  func accessKey(bearerDigest: [UInt8]) async throws -> (key: AccessKey, user: User)?

  /// Changes whenever a user, key or policy changes: what caches compare.
  func identityGeneration() async throws -> Int64

  /// All key-encryption keys.
  func encryptionKeys() async throws -> [StoredEncryptionKey]

  /// Replaces the stored form of all key-encryption keys in one transaction: a first one, a new
  /// number, or all re-wrapped. Throws `preconditionFailed` unless the numbers stored now are
  /// `expected`.
  func replaceEncryptionKeys(_ keys: [StoredEncryptionKey], expected: [UInt32]) async throws

  /// A value of the installation by name, such as `cluster_id`; nil when it was never set.
  func setting(_ name: String) async throws -> [UInt8]?

  /// Sets a value of the installation.
  func setSetting(_ name: String, _ value: [UInt8]) async throws
}

/// The sessions of the Files API.
public protocol FileStore: Sendable {
  /// Begins a session.
  func createFile(_ record: FileRecord) async throws

  /// Moves a session on.
  func updateFile(
    _ id: FileID, state: FileRecord.State, size: Int64, sha256: SHA256Digest?
  ) async throws

  /// A file, nil when there is none.
  func file(_ id: FileID) async throws -> FileRecord?

  /// A page of a user's files, newest first, and how many there are in all.
  func listFiles(
    user: UserID, state: FileRecord.State?, offset: Int, limit: Int
  ) async throws -> (files: [FileRecord], total: Int)

  /// Forgets a file.
  func deleteFile(_ id: FileID) async throws

  /// Sessions that are neither completed nor failed and did not change since `before`.
  func staleFiles(before: Timestamp, limit: Int) async throws -> [FileRecord]
}
