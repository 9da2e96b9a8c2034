public import Base

/// A bucket as its row says.
public struct Bucket: Hashable, Sendable {
  /// What a bucket is used for.
  public enum Purpose: Int64, Sendable {
    /// An ordinary S3 bucket.
    case s3 = 0
    /// The bucket behind one user's Files API.
    case files = 1
  }

  /// Whether versions are kept (S3 `VersioningConfiguration`).
  public enum Versioning: Int64, Sendable {
    /// Never enabled.
    case off = 0
    /// Each write keeps the versions before it.
    case enabled = 1
    /// New writes replace the `null` version; older versions stay.
    case suspended = 2
  }

  /// The row.
  public var id: BucketID
  /// The tenant that the name is unique in.
  public var tenant: Int64
  /// The name.
  public var name: String
  /// The user that owns it.
  public var owner: UserID
  /// When it was made.
  public var created: Timestamp
  /// What it is used for.
  public var purpose: Purpose
  /// Whether versions are kept.
  public var versioning: Versioning

  /// Makes a bucket of its fields.
  public init(
    id: BucketID, tenant: Int64, name: String, owner: UserID, created: Timestamp,
    purpose: Purpose, versioning: Versioning
  ) {
    self.id = id
    self.tenant = tenant
    self.name = name
    self.owner = owner
    self.created = created
    self.purpose = purpose
    self.versioning = versioning
  }
}

/// Objects and bytes of a bucket or of everything, as far as they are folded.
public struct Usage: Hashable, Sendable {
  /// Current objects.
  public var objects: Int64
  /// Their plaintext bytes.
  public var bytes: Int64

  /// Makes a usage of its fields.
  public init(objects: Int64, bytes: Int64) {
    self.objects = objects
    self.bytes = bytes
  }
}
