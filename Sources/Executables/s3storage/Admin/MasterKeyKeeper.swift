import AdminAPI
import Base
import Disk
import Metadata
import Runtime
import Sealing
import Synchronization

/// The master key of a running server, for the Admin API.
///
/// A rotation writes the new key beside the old one, commits the keys that it wraps, and then
/// replaces the file: at every moment one of the two files opens what is stored, and `Keys.open`
/// tells which.
final class MasterKeyKeeper: MasterKeyManaging {
  private struct State {
    var master: MasterKey
    var isRotating = false
    /// Whether a rotation ended without showing which key is in force.
    var isUncertain = false
  }

  private let path: DiskPath
  private let files: any FileSystem
  private let metadata: any MetadataStore
  private let ring: KeyRing
  private let pool: ThreadPool
  private let random: any RandomSource
  private let publish: @Sendable () async throws -> Void
  private let state: Mutex<State>

  /// Keeps `master`, which lies at `path` and wraps the keys of `ring`; `publish` puts what it wraps
  /// into the stores, where the keys must be before the old master key is let go.
  init(
    master: MasterKey, path: DiskPath, files: any FileSystem, metadata: any MetadataStore,
    ring: KeyRing, pool: ThreadPool, random: any RandomSource,
    publish: @escaping @Sendable () async throws -> Void
  ) {
    self.path = path
    self.files = files
    self.metadata = metadata
    self.ring = ring
    self.pool = pool
    self.random = random
    self.publish = publish
    state = Mutex(State(master: master))
  }

  func exportText() async throws -> String {
    let text = state.withLock { $0.isUncertain || $0.isRotating ? nil : $0.master.text }
    guard let text else { throw MasterKeyError.rotationUnfinished }
    return text
  }

  func rotate() async throws {
    let isFree = state.withLock { state in
      defer { state.isRotating = true }
      return !state.isRotating && !state.isUncertain
    }
    guard isFree else { throw MasterKeyError.rotationUnfinished }
    defer { state.withLock { $0.isRotating = false } }
    let master = MasterKey(random: random.bytes)
    let next = DiskPath(path.text + ".next", kind: "next master key")
    let parent = Self.parent(of: path)
    try await pool.run { [files] in
      try SmallFile(files: files).write(Array(master.text.utf8), to: next, in: parent)
    }
    do {
      try await commit(master)
    } catch MetadataError.unknownOutcome {
      // Both files stay: the next start finds out which key is in force.
      state.withLock { $0.isUncertain = true }
      throw MetadataError.unknownOutcome
    } catch {
      try? await pool.run { [files] in try files.delete(next) }
      throw error
    }
    state.withLock { $0.master = master }
    try await publish()
    try await pool.run { [files, path] in
      try files.rename(next, to: path)
      try files.syncDirectory(parent)
    }
  }

  private func commit(_ master: MasterKey) async throws {
    let stored = try await metadata.encryptionKeys()
    let created = Dictionary(
      stored.map { ($0.number, $0.created) }, uniquingKeysWith: { first, _ in first })
    let check = master.checkValue(cluster: ring.cluster)
    try await metadata.replaceEncryptionKeys(
      ring.wrapped(under: master, random: random.bytes).map {
        StoredEncryptionKey(
          number: $0.number, wrapped: $0.bytes, masterCheck: check,
          created: created[$0.number] ?? Timestamp(milliseconds: 0))
      }, expected: ring.numbers)
  }

  private static func parent(of path: DiskPath) -> DiskPath {
    let slash = path.text.lastIndex(of: "/")
    let text = slash.map { $0 == path.text.startIndex ? "/" : String(path.text[..<$0]) } ?? "."
    return DiskPath(text, kind: "key directory")
  }
}
