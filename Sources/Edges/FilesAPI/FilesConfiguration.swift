/// What an operator may change about the Files API.
public struct FilesConfiguration: Sendable {
  /// The largest file in bytes: 10 GiB.
  public var maximumFileSize: Int64 = 10 << 30
  /// Content of all form fields but the file that is read and dropped, in bytes.
  public var maximumFieldBytes = 64 << 10
  /// Form fields besides the file.
  public var maximumFields = 32
  /// How often a running upload is recorded as alive, in milliseconds: well below the age from
  /// which an unfinished one counts as abandoned.
  public var touchMilliseconds = 300_000
  /// Files of a page when the client names no number, and at most.
  public var pageSize = 50
  /// The most files of a page.
  public var maximumPageSize = 1000
  /// The version that `/health` tells.
  public var version: String

  /// Makes a configuration of the defaults.
  public init(version: String) {
    self.version = version
  }
}

/// Whether the process takes requests: what `/health` tells.
public enum ServiceHealth: Hashable, Sendable {
  /// It serves.
  case ready
  /// It does not serve yet.
  case starting
  /// It is shutting down.
  case draining
  /// It cannot serve; a fixed word why.
  case unavailable(String)
}
