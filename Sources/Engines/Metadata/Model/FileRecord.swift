public import Base

/// Tells file identifiers from others.
public enum FileKind {}
/// Names one file of the Files API.
public typealias FileID = ID128<FileKind>

/// An upload session of the Files API, and the file that it became.
public struct FileRecord: Hashable, Sendable {
  /// How far an upload is.
  public enum State: Int64, Sendable, CaseIterable {
    /// Asked for, no byte yet.
    case pending = 0
    /// Bytes arrive.
    case uploading = 1
    /// The file is there.
    case completed = 2
    /// It will never be there.
    case failed = 3

    /// The name in the API.
    public var name: String {
      switch self {
      case .pending: "pending"
      case .uploading: "uploading"
      case .completed: "completed"
      case .failed: "failed"
      }
    }
  }

  /// The file's id.
  public var id: FileID
  /// Whose it is.
  public var user: UserID
  /// The user's files bucket.
  public var bucket: BucketID
  /// The name that the user gave, without a path.
  public var name: String
  /// How far it is.
  public var state: State
  /// Plaintext bytes; 0 until completed.
  public var size: Int64
  /// The media type.
  public var contentType: String
  /// SHA-256 of the content, once completed.
  public var sha256: SHA256Digest?
  /// When the session began.
  public var created: Timestamp
  /// When it last changed.
  public var updated: Timestamp

  /// Makes a record of its fields.
  public init(
    id: FileID, user: UserID, bucket: BucketID, name: String, state: State, size: Int64,
    contentType: String, sha256: SHA256Digest?, created: Timestamp, updated: Timestamp
  ) {
    self.id = id
    self.user = user
    self.bucket = bucket
    self.name = name
    self.state = state
    self.size = size
    self.contentType = contentType
    self.sha256 = sha256
    self.created = created
    self.updated = updated
  }

  /// The key of the object behind the file: `<file id>/<name>`.
  public var objectKey: [UInt8] { Array("\(id)/\(name)".utf8) }
}
