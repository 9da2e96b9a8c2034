import AdminAPI
import Base
import Disk
import Metadata
import Sealing

/// Makes sure that the master key of an installation opens a copy of its metadata.
///
/// A copy from before a rotation holds the keys wrapped under the master key of then. The keys
/// themselves stay the same, so that the metadata it takes the place of has them under the one of
/// now.
struct RestoredKeys {
  /// What a database knows of its keys.
  struct Record {
    var cluster: ClusterID?
    var keys: [StoredEncryptionKey]
    var exported: [UInt8]

    init(_ store: any MetadataStore) async throws {
      cluster = try await store.setting("cluster_id").flatMap { ClusterID(bytes: $0) }
      keys = try await store.encryptionKeys()
      exported = try await store.setting(AdminSettings.masterKeyExported) ?? []
    }

    /// Whether all keys are wrapped under this master key.
    func fits(_ master: MasterKey) -> Bool {
      guard let cluster, !keys.isEmpty else { return false }
      let check = master.checkValue(cluster: cluster)
      return keys.allSatisfy { ConstantTime.equals($0.masterCheck, check) }
    }
  }

  let store: any MetadataStore
  let masterKey: DiskPath
  let files: any FileSystem

  /// Throws unless the master key opens the copy, if need be with the keys of the metadata that it
  /// takes the place of, which `current` gives. Without a master key there is nothing to compare.
  func fit(_ current: () async throws -> Record?) async throws {
    let copy = try await Record(store)
    guard let cluster = copy.cluster, !copy.keys.isEmpty else {
      throw AdminFailure("the backup holds no keys: it is not one of a running server")
    }
    guard let text = try SmallFile(files: files).read(masterKey) else { return }
    let master = try MasterKey(text: String(decoding: text, as: UTF8.self))
    if copy.fits(master) { return }
    let numbers = copy.keys.map(\.number)
    guard let known = try await current(), known.cluster == cluster, known.fits(master),
      Set(known.keys.map(\.number)).isSuperset(of: numbers)
    else {
      throw AdminFailure(
        "the backup was made under another master key: put that one to \(masterKey.text) first")
    }
    try await store.replaceEncryptionKeys(known.keys, expected: numbers)
    try await store.setSetting(AdminSettings.masterKeyExported, known.exported)
  }
}
