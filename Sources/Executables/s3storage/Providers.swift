import AdminAPI
import Base
import ChunkStore
import Disk
import Metadata
import ObjectEngine
import Runtime
import Sealing

/// What the Admin API tells of this process.
struct EmbeddedInstallation: InstallationDescribing {
  let started: Timestamp
  let directory: DataDirectory
  let stores: [StoreID]

  var version: String { CommandLineTool.version }

  /// The device that each store's directory is on, by number.
  func devices() async -> [StoreID: String] {
    var result: [StoreID: String] = [:]
    for (id, path) in zip(stores, directory.stores) {
      let status = try? directory.files.status(DiskPath(path, kind: "store directory"))
      if let status { result[id] = "\(status.device >> 8):\(status.device & 255)" }
    }
    return result
  }
}

/// Copies of the metadata, made in the data directory and removed when they were read.
struct DatabaseBackups: BackupProviding {
  let metadata: any MetadataStore
  let directory: DataDirectory
  let pool: ThreadPool
  let random: any RandomSource

  func makeBackup() async throws -> any BackupReading {
    let name = "backup-\(String(random.next(), radix: 16)).tmp"
    let path = directory.metadata.appending(name, kind: "backup")
    do {
      try await metadata.backup(to: path.text)
      let files = directory.files
      let handle = try files.open(path, FileMode(.read))
      return BackupFile(handle: handle, path: path, files: files, pool: pool)
    } catch {
      try? directory.files.delete(path)
      throw error
    }
  }
}

/// A finished copy of the metadata; its file goes when it is closed.
final class BackupFile: BackupReading {
  let byteCount: Int
  private let handle: any FileHandle
  private let path: DiskPath
  private let files: any FileSystem
  private let pool: ThreadPool
  private let position = PositionBox()

  init(handle: any FileHandle, path: DiskPath, files: any FileSystem, pool: ThreadPool) {
    self.handle = handle
    self.path = path
    self.files = files
    self.pool = pool
    byteCount = (try? handle.status().size) ?? 0
  }

  func read(into buffer: AlignedBuffer) async throws -> Int {
    let offset = position.value
    let handle = handle
    let count = try await pool.run {
      try unsafe buffer.withMutableBytes(0..<buffer.count) { bytes in
        try unsafe handle.read(into: bytes, at: offset)
      }
    }
    position.advance(count)
    return count
  }

  func close() {
    try? files.delete(path)
  }
}

/// The master key: handed out to an administrator, and replaced.
struct MasterKeyManager: MasterKeyManaging {
  let directory: DataDirectory
  let metadata: any MetadataStore
  let ring: KeyRing
  let random: any RandomSource
  let clock: any WallClock
  private let rotation = Turn()

  init(
    directory: DataDirectory, metadata: any MetadataStore, ring: KeyRing,
    random: any RandomSource, clock: any WallClock
  ) {
    self.directory = directory
    self.metadata = metadata
    self.ring = ring
    self.random = random
    self.clock = clock
  }

  func exportText() async throws -> String {
    guard let text = try SmallFile(files: directory.files).read(directory.masterKey) else {
      throw StartError("the master key file is missing")
    }
    try await metadata.setSetting("master_key_exported", [1])
    return String(decoding: text, as: UTF8.self)
  }

  /// Wraps all key-encryption keys under a new master key.
  ///
  /// The new key is on disk before metadata names it; whichever of the two files fits the stored
  /// check value is in force, so that a crash at any point leaves a key that opens everything.
  func rotate() async throws {
    guard rotation.begin() else { throw MetadataError.alreadyExists("a rotation is running") }
    defer { rotation.end() }
    let small = SmallFile(files: directory.files)
    let next = DiskPath(directory.masterKey.text + ".next", kind: "next master key")
    let master = MasterKey(random: random.bytes)
    try small.write(Array(master.text.utf8), to: next, in: directory.keys)
    let now = clock.now
    let check = master.checkValue(cluster: ring.cluster)
    try await metadata.replaceEncryptionKeys(
      ring.wrapped(under: master, random: random.bytes).map {
        StoredEncryptionKey(number: $0.number, wrapped: $0.bytes, masterCheck: check, created: now)
      }, expected: ring.numbers)
    try directory.files.rename(next, to: directory.masterKey)
    try directory.files.syncDirectory(directory.keys)
    try await metadata.setSetting("master_key_exported", [0])
  }
}
