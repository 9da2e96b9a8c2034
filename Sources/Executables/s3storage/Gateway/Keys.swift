import Base
import Disk
import Metadata
import Runtime
import Sealing
import Telemetry

/// The master key and the keys that it wraps.
struct Keys: Sendable {
  let master: MasterKey
  let ring: KeyRing
  /// Whether the master key was made now.
  let isNew: Bool

  /// Reads the master key and opens the stored keys with it; a first start makes both.
  ///
  /// An interrupted rotation leaves `master.key.next` beside the key: the check value of the
  /// stored keys says which of the two is in force.
  static func open(
    _ file: MasterKeyFile, metadata: any MetadataStore, cluster: ClusterID,
    random: any RandomSource, clock: any WallClock, log: Log
  ) async throws -> Keys {
    let small = SmallFile(files: file.files)
    let stored = try await metadata.encryptionKeys()
    guard !stored.isEmpty else {
      return try await create(file, metadata, cluster, random, clock)
    }
    var candidates: [(path: DiskPath, key: MasterKey)] = []
    for path in [file.path, file.next] {
      if let text = try small.read(path) {
        candidates.append((path, try MasterKey(text: String(decoding: text, as: UTF8.self))))
      }
    }
    guard !candidates.isEmpty else {
      throw StartError(
        "the master key is missing: put it back at \(file.path.text); without it no "
          + "object can be read")
    }
    let fitting = candidates.first { candidate in
      stored.allSatisfy { $0.masterCheck == candidate.key.checkValue(cluster: cluster) }
    }
    guard let (path, master) = fitting else {
      throw StartError("the master key is not the one that this installation was sealed with")
    }
    if path == file.next {
      log.warning("a master key rotation that was interrupted is finished")
      try file.files.rename(file.next, to: file.path)
      try file.files.syncDirectory(file.directory)
    }
    let wrapped = try stored.map {
      try WrappedKeyEncryptionKey(number: $0.number, bytes: $0.wrapped)
    }
    return Keys(
      master: master, ring: try KeyRing(cluster: cluster, master: master, wrapped: wrapped),
      isNew: false)
  }

  private static func create(
    _ file: MasterKeyFile, _ metadata: any MetadataStore, _ cluster: ClusterID,
    _ random: any RandomSource, _ clock: any WallClock
  ) async throws -> Keys {
    let small = SmallFile(files: file.files)
    let master: MasterKey
    var isNew = false
    if let text = try small.readDurable(file.path, in: file.directory) {
      master = try MasterKey(text: String(decoding: text, as: UTF8.self))
    } else {
      master = MasterKey(random: random.bytes)
      try small.write(Array(master.text.utf8), to: file.path, in: file.directory)
      isNew = true
    }
    CrashPoint.reach(.startKeyWritten)
    let ring = KeyRing(cluster: cluster, random: random.bytes)
    try await metadata.replaceEncryptionKeys(
      ring.wrapped(under: master, random: random.bytes).map {
        StoredEncryptionKey(
          number: $0.number, wrapped: $0.bytes,
          masterCheck: master.checkValue(cluster: cluster), created: clock.now)
      }, expected: [])
    return Keys(master: master, ring: ring, isNew: isNew)
  }
}
