internal import Base

/// The constants of a local store.
public struct LocalChunkStoreOptions: Sendable {
  static let maximumBatchSize = 8 * ByteCount.mebibyte

  /// Writes stop when less than this part of the file system is free, 0 to 1.
  public var reserveFraction = 0.05
  /// Writes stop when fewer bytes than this are free.
  public var reserveBytes = ByteCount.gibibyte
  /// The largest volume in bytes, 1 MiB to 2 GiB.
  public var volumeSize = ByteCount.gibibyte
  /// The most bytes that one write to a volume takes together, 256 KiB to 8 MiB.
  public var batchSize = 4 * ByteCount.mebibyte
  /// Bytes of volumes, at least, between two checkpoints of their index.
  public var checkpointInterval = 64 * ByteCount.mebibyte
  /// A volume with less than this part of live bytes is compacted, 0 to 1.
  public var compactionThreshold = 0.5
  /// Bytes of a volume that one step of compaction looks at, at least 512 KiB.
  public var compactionStep = 4 * ByteCount.mebibyte
  /// Volumes kept open for reading.
  public var openVolumes = 32
  /// Times how long a flush waits for company; nil lets it block its thread, which costs least.
  public var clock: (any Clock<Duration>)?

  /// The constants of a store that asks for no others.
  public init() {}

  /// Bytes that must stay free in a file system of so many.
  func reserve(of capacity: Int) -> Int {
    max(Int(Double(capacity) * min(max(reserveFraction, 0), 1)), reserveBytes)
  }

  /// The same, each within its bounds.
  var clamped: LocalChunkStoreOptions {
    var result = self
    result.volumeSize = min(max(volumeSize, ByteCount.mebibyte), 2 * ByteCount.gibibyte)
    result.batchSize = min(max(batchSize, 256 * ByteCount.kibibyte), Self.maximumBatchSize)
    result.checkpointInterval = max(checkpointInterval, 4096)
    result.compactionStep = max(compactionStep, 512 * ByteCount.kibibyte)
    result.openVolumes = max(openVolumes, 1)
    return result
  }
}
