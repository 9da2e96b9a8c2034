import AdminAPI
import Base
import Disk
import Metadata
import Runtime
import Synchronization

/// Copies of the metadata for the Admin API, by way of a file in the data directory that has no
/// name any more while it is read.
struct MetadataBackups: BackupProviding {
  private static let kind: DiskPath.Kind = "backup"
  private static let prefix = "backup-"
  private static let suffix = ".tmp"

  private let metadata: any MetadataStore
  private let files: any FileSystem
  private let directory: DiskPath
  private let pool: ThreadPool
  private let random: any RandomSource

  /// Copies `metadata` by way of files in `directory`, on the threads of `pool`.
  init(
    metadata: any MetadataStore, files: any FileSystem, directory: DiskPath, pool: ThreadPool,
    random: any RandomSource
  ) {
    self.metadata = metadata
    self.files = files
    self.directory = directory
    self.pool = pool
    self.random = random
  }

  /// Deletes what a process that ended within a backup has left. To be called at start.
  func removeLeftovers() throws {
    for entry in try files.list(directory)
    where entry.name.hasPrefix(Self.prefix) && entry.name.contains(Self.suffix) {
      try files.delete(directory.appending(entry.name, kind: Self.kind))
    }
  }

  func makeBackup() async throws -> any BackupReading {
    let path = directory.appending(
      Self.prefix + Hex.encode(random.bytes(8)) + Self.suffix, kind: Self.kind)
    do {
      try await metadata.backup(to: path.text)
    } catch {
      try? await pool.run { [files] in try files.delete(path) }
      throw error
    }
    return try await pool.run { [files, pool] in
      let opened = Result { try files.open(path, FileMode(.read)) }
      try files.delete(path)
      let handle = try opened.get()
      return Reader(handle, size: try handle.status().size, pool: pool)
    }
  }

  private final class Reader: BackupReading {
    private struct State {
      var handle: (any FileHandle)?
      var offset = 0
    }

    let byteCount: Int
    private let pool: ThreadPool
    private let state: Mutex<State>

    init(_ handle: any FileHandle, size: Int, pool: ThreadPool) {
      byteCount = size
      self.pool = pool
      state = Mutex(State(handle: handle))
    }

    func read(into buffer: AlignedBuffer) async throws -> Int {
      let (handle, offset) = state.withLock { ($0.handle, $0.offset) }
      guard let handle else { return 0 }
      let wanted = min(buffer.count, byteCount - offset)
      if wanted == 0 { return 0 }
      let count = try await pool.run {
        try unsafe buffer.withMutableBytes(0..<wanted) {
          try unsafe handle.read(into: $0, at: offset)
        }
      }
      state.withLock { $0.offset = offset + count }
      return count
    }

    func close() {
      state.withLock { $0.handle = nil }
    }
  }
}
