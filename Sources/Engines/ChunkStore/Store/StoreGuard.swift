internal import Base
internal import Disk
internal import Synchronization
internal import Telemetry

/// Knows whether a store may be read and written, and learns it from what fails.
///
/// The condition only gets worse in the life of a process: an operator repairs what is wrong and
/// opens the store again.
final class StoreGuard: Sendable {
  enum Condition: Equatable, Sendable {
    case active
    case fenced(String)
    case offline(String)
  }

  let fileSystem: any FileSystem
  let layout: StoreLayout
  private let options: LocalChunkStoreOptions
  private let log: Log
  /// The description's open file, which carries the lock.
  private let identity: any FileHandle
  private let identityStatus: FileStatus
  private let current = Mutex(Condition.active)

  init(
    fileSystem: any FileSystem, layout: StoreLayout, options: LocalChunkStoreOptions, log: Log,
    identity: any FileHandle
  ) throws(DiskError) {
    self.fileSystem = fileSystem
    self.layout = layout
    self.options = options
    self.log = log
    self.identity = identity
    identityStatus = try identity.status()
  }

  var condition: Condition { current.withLock { $0 } }

  /// Throws `offline` when the store is.
  func requireReadable() throws(ChunkStoreError) {
    if case .offline(let reason) = condition { throw .offline(reason) }
  }

  /// Throws unless the store is active.
  func requireWritable() throws(ChunkStoreError) {
    switch condition {
    case .active: return
    case .fenced(let reason): throw .fenced(reason)
    case .offline(let reason): throw .offline(reason)
    }
  }

  /// Throws `full` when so many more bytes would eat into what the write must leave free.
  func requireSpace(_ bytes: Int, of kind: ChunkSpace = .free) throws(ChunkStoreError) {
    let space: SpaceStatus
    do { space = try fileSystem.space(layout.root) } catch { throw failure(error) }
    if space.isReadOnly {
      fence("the file system is mounted for reading only")
      try requireWritable()
    }
    let reserve = options.reserve(of: space.capacity)
    let kept =
      switch kind {
      case .free: reserve
      case .reserve: reserve / 2
      }
    guard space.free - bytes >= kept else { throw .full }
  }

  /// Takes no more writes.
  func fence(_ reason: String) {
    worsen(to: .fenced(reason))
  }

  /// Takes nothing any more.
  func setOffline(_ reason: String) {
    worsen(to: .offline(reason))
  }

  private func worsen(to condition: Condition) {
    let isChanged = current.withLock { current in
      switch (current, condition) {
      case (.active, .fenced), (.active, .offline), (.fenced, .offline):
        current = condition
        return true
      default: return false
      }
    }
    if isChanged { log.error("store changes its state", [("state", "\(condition)")]) }
  }

  /// Draws the consequences of a failed operation, and says what its caller is told.
  func failure(_ error: DiskError) -> ChunkStoreError {
    switch (error.code, error.operation) {
    case (.gone, _):
      setOffline(error.description)
    case (.notFound, _):
      verifyPresence()
    case (_, .sync), (_, .syncDirectory):
      // What the system could not write it may have dropped: a second sync would lie.
      fence(error.description)
    case (.readOnly, _), (.device, .write), (.device, .create), (.device, .rename),
      (.device, .delete), (.device, .makeDirectory):
      fence(error.description)
    case (.noSpace, _):
      return .full
    default: break
    }
    switch condition {
    case .active: return .io(error.description)
    case .fenced(let reason):
      return Self.isRead(error.operation) ? .io(error.description) : .fenced(reason)
    case .offline(let reason): return .offline(reason)
    }
  }

  private static func isRead(_ operation: DiskError.Operation) -> Bool {
    switch operation {
    case .open, .read, .list, .status, .space: true
    default: false
    }
  }

  /// Goes offline unless the directory still holds the description that was locked.
  func verifyPresence() {
    let reason: String
    do {
      let found = try fileSystem.status(layout.description)
      if found.inode == identityStatus.inode, found.device == identityStatus.device { return }
      reason = "the store's directory was replaced"
    } catch {
      switch error.code {
      case .notFound, .gone, .device: reason = "the store's directory has vanished"
      default: return
      }
    }
    setOffline(reason)
  }
}
