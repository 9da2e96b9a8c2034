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
    /// Whether the only file with the key in force is the one beside.
    var isFileBehind = false
  }

  private let file: MasterKeyFile
  private let metadata: any MetadataStore
  private let ring: KeyRing
  private let pool: ThreadPool
  private let random: any RandomSource
  private let publish: @Sendable () async throws -> Bool
  private let state: Mutex<State>

  /// Keeps `master`, which lies in `file` and wraps the keys of `ring`; `publish` puts what it wraps
  /// into the stores, where the keys must be before the old master key is let go, and tells whether
  /// enough of them have it.
  init(
    master: MasterKey, file: MasterKeyFile, metadata: any MetadataStore, ring: KeyRing,
    pool: ThreadPool, random: any RandomSource,
    publish: @escaping @Sendable () async throws -> Bool
  ) {
    self.file = file
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
    // Another next key would be written over the one that all data hangs on.
    if state.withLock({ $0.isFileBehind }) { try await finish() }
    guard try await publish() else { throw MasterKeyError.tooFewStores }
    let master = MasterKey(random: random.bytes)
    try await pool.run { [file] in
      try SmallFile(files: file.files).write(
        Array(master.text.utf8), to: file.next, in: file.directory)
    }
    CrashPoint.reach(.rotationKeyWritten)
    do {
      try await commit(master)
    } catch MetadataError.unknownOutcome {
      // Both files stay: the next start finds out which key is in force.
      state.withLock { $0.isUncertain = true }
      throw MetadataError.unknownOutcome
    } catch {
      try? await pool.run { [file] in try file.files.delete(file.next) }
      throw error
    }
    CrashPoint.reach(.rotationCommitted)
    state.withLock { state in
      state.master = master
      state.isFileBehind = true
    }
    try await finish()
  }

  /// Replaces the file by the one beside it, which the stored keys are wrapped by.
  private func finish() async throws {
    // Until then both files are needed, and both stay.
    guard try await publish() else { throw MasterKeyError.rotationUnfinished }
    CrashPoint.reach(.rotationPublished)
    let text = state.withLock { Array($0.master.text.utf8) }
    try await pool.run { [file] in
      do throws(DiskError) {
        try file.files.rename(file.next, to: file.path)
      } catch {
        // It may have been renamed before, when the directory could not be synced.
        let found = try SmallFile(files: file.files).read(file.path)
        guard error.code == .notFound, found == text else { throw error }
      }
      CrashPoint.reach(.rotationRenamed)
      try file.files.syncDirectory(file.directory)
    }
    state.withLock { $0.isFileBehind = false }
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
}
