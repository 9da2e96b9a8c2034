public import Synchronization

/// Counts what this process asked its disks to do, since it started.
public enum DiskStatistics {
  /// Syncs of file data.
  public static let dataSyncs = Atomic<Int>(0)
  /// Syncs of directories.
  public static let directorySyncs = Atomic<Int>(0)
  /// Bytes written.
  public static let bytesWritten = Atomic<Int>(0)
  /// Bytes read.
  public static let bytesRead = Atomic<Int>(0)
  /// Calls that wrote.
  public static let writes = Atomic<Int>(0)
  /// Calls that read.
  public static let reads = Atomic<Int>(0)
}
