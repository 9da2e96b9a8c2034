public import Disk
public import Runtime
import Synchronization

/// Files in memory on a machine whose power may be cut, with a disk that may fail.
///
/// What was not synced is kept apart from what was: bytes of files in pages, entries of
/// directories one by one. `afterPowerCut` keeps any part of it. It is harsher than file systems
/// are: a rename may lose the old name and not gain the new one.
public final class LossyFileSystem: FileSystem {
  /// Makes operations fail.
  public struct Fault: Sendable {
    /// What fails.
    public var operation: DiskError.Operation
    /// On what; nil for anything.
    public var kind: DiskPath.Kind?
    /// So many operations pass before it.
    public var passing: Int
    /// So many fail, then it is over.
    public var failing: Int
    /// With this.
    public var code: DiskError.Code

    /// Makes a fault; without `failing` it lasts for ever.
    public init(
      _ operation: DiskError.Operation, on kind: DiskPath.Kind? = nil, after passing: Int = 0,
      times failing: Int = .max, code: DiskError.Code = .device
    ) {
      self.operation = operation
      self.kind = kind
      self.passing = passing
      self.failing = failing
      self.code = code
    }
  }

  let state: Mutex<LossyState>
  private let ignoresSync: @Sendable (DiskPath) -> Bool

  /// An empty disk of so many bytes; a sync that `ignoresSync` picks does nothing.
  public convenience init(
    capacity: Int = 1 << 40, ignoresSync: @escaping @Sendable (DiskPath) -> Bool = { _ in false }
  ) {
    self.init(LossyState(capacity: capacity), ignoresSync: ignoresSync)
  }

  init(_ state: LossyState, ignoresSync: @escaping @Sendable (DiskPath) -> Bool) {
    self.state = Mutex(state)
    self.ignoresSync = ignoresSync
  }

  /// Adds a fault.
  public func inject(_ fault: Fault) {
    state.withLock { $0.faults.append(fault) }
  }

  /// Ends all faults.
  public func heal() {
    state.withLock { $0.faults = [] }
  }

  /// From now on a write that meets a fault reaches the disk all the same.
  public func leaveFailedWrites() {
    state.withLock { $0.leavesFailedWrites = true }
  }

  /// Sets the size of the disk.
  public func setCapacity(_ bytes: Int) {
    state.withLock { $0.capacity = bytes }
  }

  /// Turns the disk read-only, or back.
  public func setReadOnly(_ isReadOnly: Bool) {
    state.withLock { $0.isReadOnly = isReadOnly }
  }

  /// Cuts the power when so many more changes have been made.
  public func cutPower(afterChanges count: Int) {
    state.withLock { $0.changesLeft = count }
  }

  /// Whether the power is cut.
  public var isOff: Bool { state.withLock { $0.isOff } }

  /// Changes made so far: writes, syncs, and whatever alters a directory.
  public var changeCount: Int { state.withLock { $0.changeCount } }

  /// How often files or directories of a kind were synced.
  public func syncCount(_ kind: DiskPath.Kind) -> Int {
    state.withLock { $0.syncCounts[kind, default: 0] }
  }

  /// What is on the disk when the power comes back: all that was synced, and any part of the rest.
  public func afterPowerCut(_ random: SeededRandom) -> LossyFileSystem {
    let survivor = state.withLock { $0.survivor(random) }
    return LossyFileSystem(survivor, ignoresSync: ignoresSync)
  }

  /// What is there when a process dies and the machine goes on: everything.
  public func afterCrash() -> LossyFileSystem {
    let copy = state.withLock { state in
      var copy = state
      copy.faults = []
      copy.changesLeft = nil
      copy.isOff = false
      for number in copy.nodes.keys { copy.nodes[number]?.isLocked = false }
      return copy
    }
    return LossyFileSystem(copy, ignoresSync: ignoresSync)
  }

  /// Takes a directory away with all it holds, as an unmount would; open files stay.
  public func vanish(_ path: String) {
    state.withLock { state in
      guard let (parent, name, _) = try? state.find(DiskPath(path, kind: "directory")) else {
        return
      }
      state.nodes[parent]?.entries[name] = nil
    }
  }

  /// The bytes of a file now; nil when there is none.
  public func contents(_ path: String) -> [UInt8]? {
    state.withLock { state in
      let found = try? state.find(DiskPath(path, kind: "file"))
      return found?.node.flatMap { state.nodes[$0]?.current }
    }
  }

  /// Puts bytes in place of a file's, durably; makes it when it is not there.
  public func replace(_ path: String, with bytes: [UInt8]) {
    state.withLock { state in
      guard let (parent, name, node) = try? state.find(DiskPath(path, kind: "file")) else {
        return
      }
      let number = node ?? state.newNode(isDirectory: false)
      state.nodes[number]?.current = bytes
      state.nodes[number]?.durable = bytes
      state.nodes[number]?.pendingWrites = []
      state.nodes[parent]?.entries[name] = number
      state.nodes[parent]?.durableEntries[name] = number
      state.nodes[number]?.linkCount = 1
    }
  }

  /// Opens or creates a file.
  public func open(_ path: DiskPath, _ mode: FileMode) throws(DiskError) -> any FileHandle {
    try perform { state throws(DiskError) in
      try state.open(path, mode)
    }.map { LossyFile(system: self, node: $0, path: path, isDirect: mode.isDirect) }.get()
  }

  /// Makes one directory.
  public func makeDirectory(_ path: DiskPath) throws(DiskError) {
    try perform { state throws(DiskError) in
      let (parent, name, node) = try state.find(path)
      try state.change(.makeDirectory, path)
      guard node == nil else { throw DiskError(.exists, .makeDirectory, path.kind) }
      let number = state.newNode(isDirectory: true)
      state.link(number, name, in: parent)
    }.get()
  }

  /// Makes the entries of a directory durable.
  public func syncDirectory(_ path: DiskPath) throws(DiskError) {
    try perform { [ignoresSync] state throws(DiskError) in
      let node = try state.existing(path, .syncDirectory)
      try state.change(.syncDirectory, path)
      state.syncCounts[path.kind, default: 0] += 1
      guard !ignoresSync(path) else { return }
      let entries = state.nodes[node]?.entries ?? [:]
      state.nodes[node]?.pendingEntries = []
      state.nodes[node]?.durableEntries = entries
    }.get()
  }

  /// The entries of a directory.
  public func list(_ path: DiskPath) throws(DiskError) -> [DirectoryEntry] {
    try perform { state throws(DiskError) in
      let node = try state.existing(path, .list)
      try state.check(.list, path)
      // In order, so that what follows does not depend on how names are hashed.
      return (state.nodes[node]?.entries ?? [:]).sorted { $0.key < $1.key }.map { name, number in
        DirectoryEntry(name: name, isDirectory: state.nodes[number]?.isDirectory ?? false)
      }
    }.get()
  }

  /// Gives a file another name.
  public func rename(_ path: DiskPath, to target: DiskPath) throws(DiskError) {
    try perform { state throws(DiskError) in
      let (parent, name, node) = try state.find(path)
      let (newParent, newName, replaced) = try state.find(target)
      try state.change(.rename, path)
      guard let node else { throw DiskError(.notFound, .rename, path.kind) }
      if replaced != nil { state.unlink(newName, in: newParent, isRecorded: false) }
      state.link(node, newName, in: newParent)
      state.unlink(name, in: parent, isRecorded: true)
    }.get()
  }

  /// Removes the name of a file.
  public func delete(_ path: DiskPath) throws(DiskError) {
    try perform { state throws(DiskError) in
      let (parent, name, node) = try state.find(path)
      try state.change(.delete, path)
      guard node != nil else { throw DiskError(.notFound, .delete, path.kind) }
      state.unlink(name, in: parent, isRecorded: true)
    }.get()
  }

  /// What is known of a file or directory.
  public func status(_ path: DiskPath) throws(DiskError) -> FileStatus {
    try perform { state throws(DiskError) in
      let node = try state.existing(path, .status)
      try state.check(.status, path)
      return state.status(node)
    }.get()
  }

  /// The space of the disk.
  public func space(_ path: DiskPath) throws(DiskError) -> SpaceStatus {
    try perform { state throws(DiskError) in
      _ = try state.existing(path, .space)
      try state.check(.space, path)
      let used = state.usedBytes
      return SpaceStatus(
        capacity: state.capacity, free: max(0, state.capacity - used), used: used,
        isReadOnly: state.isReadOnly)
    }.get()
  }

  func isIgnored(_ path: DiskPath) -> Bool { ignoresSync(path) }

  func perform<R: Sendable>(
    _ body: (inout LossyState) throws(DiskError) -> R
  ) -> Result<R, DiskError> {
    state.withLock { state -> Result<R, DiskError> in
      do throws(DiskError) { return .success(try body(&state)) } catch { return .failure(error) }
    }
  }
}
