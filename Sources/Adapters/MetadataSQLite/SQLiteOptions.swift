public import SQLite

/// How a metadata database in one file is run.
public struct SQLiteOptions: Sendable {
  /// Kibibytes of page cache of the connection that writes.
  ///
  /// Caches fill up as they are used and are given back when the writer has been idle for a while.
  public var writerCacheKibibytes = 8192
  /// Kibibytes of page cache of each connection that reads.
  public var readerCacheKibibytes = 12_288
  /// Mutations of one transaction at most.
  public var batchLimit = 256
  /// Bytes that the mutations of one transaction write at most, about.
  public var batchBytes = 4 << 20
  /// Pages (4 KiB) that the log grows by between checkpoints that wait for nothing.
  public var checkpointPages = 1000
  /// Pages of the log from which on a checkpoint waits for readers.
  public var maximumLogPages = 16_384
  /// Milliseconds without work after which the log is cut to nothing.
  public var idleMilliseconds = 1000
  /// Pages that one step of a backup copies.
  public var backupStepPages: Int32 = 256
  /// The name of the SQLite VFS; nil for the system's files.
  public var fileSystem: String?
  /// `off` loses acknowledged commits at a power cut.
  public var synchronous = Connection.Synchronous.full
  /// Pages of the whole database at most; nil for no limit but the disk.
  public var maximumPages: Int?

  /// The defaults.
  public init() {}
}
