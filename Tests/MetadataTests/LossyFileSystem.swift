import CSQLite
import Foundation
import Synchronization

/// A SQLite VFS over the system's that knows what is on stable storage: what was synced, and any
/// part of what was written since.
final class LossyFileSystem: Sendable {
  struct File {
    var live: [UInt8] = []
    var durable: [UInt8] = []
    /// Since the last sync, in order; a truncation is a write without bytes.
    var pending: [(offset: Int, bytes: [UInt8])] = []
  }

  /// A sync that SQLite asks for, by what it makes durable.
  enum Sync: CaseIterable, Sendable {
    /// The write-ahead log: each commit.
    case log
    /// The database itself: before the log is written anew, and when it is opened first.
    case database
    /// The rollback journal of the switch to a log.
    case journal
    /// The name of a new log or journal, and the removals before it.
    case directory
    /// The removal of a log or journal.
    case removal
  }

  struct State {
    /// Syncs that are left out: they report success and do nothing.
    var dropped: Set<Sync> = []
    /// Files whose name is not durable yet.
    var unnamed: Set<String> = []
    var files: [String: File] = [:]
    /// Names whose removal is not durable yet.
    var removed: Set<String> = []
    var syncs = 0
    var failsSyncs = false
    var whenChanged: (@Sendable (LossyFileSystem.Image) -> Void)?
  }

  /// The files as they are after a cut.
  typealias Image = [String: [UInt8]]

  let name = "lossy-" + UUID().uuidString
  let state = Mutex(State())

  init() {
    guard let system = sqlite3_vfs_find(nil) else { return }
    let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
    vfs.initialize(to: system.pointee)
    vfs.pointee.zName = UnsafePointer(strdup(name))
    vfs.pointee.pNext = nil
    // Registered for as long as the process lives, as its connections may.
    vfs.pointee.pAppData = Unmanaged.passRetained(self).toOpaque()
    vfs.pointee.szOsFile += Int32(Slot.size)
    vfs.pointee.xOpen = { vfs, name, file, flags, outFlags in
      Slot.open(vfs, name, file, flags, outFlags)
    }
    vfs.pointee.xDelete = { vfs, name, syncsDirectory in
      guard let system = sqlite3_vfs_find(nil) else { return SQLITE_IOERR }
      let status = system.pointee.xDelete(system, name, syncsDirectory)
      if status == SQLITE_OK, let name, let vfs {
        Unmanaged<LossyFileSystem>.fromOpaque(vfs.pointee.pAppData).takeUnretainedValue()
          .deleted(String(cString: name), isDurable: syncsDirectory != 0)
      }
      return status
    }
    sqlite3_vfs_register(vfs, 0)
  }

  var syncs: Int { state.withLock { $0.syncs } }

  /// What a killed process leaves: everything that was written.
  func kill() -> Image { state.withLock { Self.killed($0) } }

  private static func killed(_ state: State) -> Image { state.files.mapValues(\.live) }

  /// What a power cut leaves: what was synced, and of the later writes those that `survives` says.
  func cut(_ survives: () -> Bool) -> Image {
    state.withLock { state in
      state.files.mapValues { file in
        var content = file.durable
        for write in file.pending where survives() { Self.apply(write, to: &content) }
        return content
      }
    }
  }

  /// Writes an image into a directory.
  static func restore(_ image: Image, into directory: String) throws {
    for (path, content) in image where !content.isEmpty {
      let name = (path as NSString).lastPathComponent
      try Data(content).write(to: URL(fileURLWithPath: directory + "/" + name))
    }
  }

  private static func apply(_ write: (offset: Int, bytes: [UInt8]), to content: inout [UInt8]) {
    if write.bytes.isEmpty {
      content.removeLast(max(content.count - write.offset, 0))
      return
    }
    let end = write.offset + write.bytes.count
    if content.count < end {
      content += [UInt8](repeating: 0, count: end - content.count)
    }
    content.replaceSubrange(write.offset..<end, with: write.bytes)
  }

  fileprivate func written(_ path: String, at offset: Int, _ bytes: [UInt8]) {
    let (hook, image) = state.withLock { state in
      Self.apply((offset, bytes), to: &state.files[path, default: File()].live)
      state.files[path]?.pending.append((offset, bytes))
      return (state.whenChanged, state.whenChanged == nil ? [:] : Self.killed(state))
    }
    hook?(image)
  }

  /// False when this sync is to fail.
  fileprivate func synced(_ path: String) -> Bool {
    state.withLock { state in
      state.syncs += 1
      guard !state.failsSyncs else { return false }
      let kind: Sync =
        path.hasSuffix("-wal") ? .log : path.hasSuffix("-journal") ? .journal : .database
      guard !state.dropped.contains(kind) else { return true }
      if kind != .database && state.unnamed.contains(path) {
        // The first sync of a new log is one of its directory too (SQLite's `unixSync`).
        guard !state.dropped.contains(.directory) else { return true }
        for name in state.removed where name != path { state.files[name] = nil }
        state.removed = []
        state.unnamed = []
      }
      let live = state.files[path]?.live ?? []
      state.files[path]?.durable = live
      state.files[path]?.pending = []
      return true
    }
  }

  fileprivate func deleted(_ path: String, isDurable: Bool) {
    state.withLock { state in
      // A name whose removal is not synced comes back with what was durable under it.
      if isDurable && !state.dropped.contains(.removal) {
        state.files[path] = nil
      } else {
        state.files[path]?.live = []
        state.files[path]?.pending = []
        state.removed.insert(path)
      }
    }
  }

  fileprivate func opened(_ path: String, _ content: [UInt8]) {
    state.withLock { state in
      if content.isEmpty { state.unnamed.insert(path) }
      if state.files[path] == nil { state.files[path] = File(live: content, durable: content) }
    }
  }
}

/// What stands in front of the system's own file structure.
private struct Slot {
  static let size = 32

  let methods: UnsafePointer<sqlite3_io_methods>
  let system: Unmanaged<LossyFileSystem>
  let path: Unmanaged<NSString>

  static func real(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutablePointer<
    sqlite3_file
  > {
    slot(file).advanced(by: size).assumingMemoryBound(to: sqlite3_file.self)
  }

  /// SQLite never calls a method without a file.
  static func slot(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutableRawPointer {
    guard let file else { preconditionFailure("a method without a file") }
    return UnsafeMutableRawPointer(file)
  }

  static func of(_ file: UnsafeMutablePointer<sqlite3_file>?) -> (LossyFileSystem, String) {
    let slot = slot(file).assumingMemoryBound(to: Slot.self).pointee
    return (
      slot.system.takeUnretainedValue(), slot.path.takeUnretainedValue() as String
    )
  }

  static func open(
    _ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ name: UnsafePointer<CChar>?,
    _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
    _ outFlags: UnsafeMutablePointer<Int32>?
  ) -> Int32 {
    guard let file, let vfs, let system = sqlite3_vfs_find(nil) else { return SQLITE_CANTOPEN }
    file.pointee.pMethods = nil
    let status = system.pointee.xOpen(system, name, real(file), flags, outFlags)
    guard status == SQLITE_OK else { return status }
    let path = name.map { String(cString: $0) } ?? ""
    let owner = Unmanaged<LossyFileSystem>.fromOpaque(vfs.pointee.pAppData)
    owner.takeUnretainedValue().opened(
      path, FileManager.default.contents(atPath: path).map { Array($0) } ?? [])
    slot(file).assumingMemoryBound(to: Slot.self).initialize(
      to: Slot(
        methods: methods, system: owner, path: Unmanaged.passRetained(path as NSString)))
    return SQLITE_OK
  }

  nonisolated(unsafe) static let methods: UnsafePointer<sqlite3_io_methods> = {
    let table = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
    var methods = sqlite3_io_methods()
    methods.iVersion = 2
    methods.xClose = { file in
      Slot.slot(file).assumingMemoryBound(to: Slot.self).pointee.path.release()
      return Slot.real(file).pointee.pMethods.pointee.xClose(Slot.real(file))
    }
    methods.xRead = { file, buffer, count, offset in
      Slot.real(file).pointee.pMethods.pointee.xRead(Slot.real(file), buffer, count, offset)
    }
    methods.xWrite = { file, buffer, count, offset in
      let status = Slot.real(file).pointee.pMethods.pointee.xWrite(
        Slot.real(file), buffer, count, offset)
      guard status == SQLITE_OK else { return status }
      let (system, path) = Slot.of(file)
      system.written(
        path, at: Int(offset), [UInt8](UnsafeRawBufferPointer(start: buffer, count: Int(count))))
      return status
    }
    methods.xTruncate = { file, size in
      let status = Slot.real(file).pointee.pMethods.pointee.xTruncate(Slot.real(file), size)
      guard status == SQLITE_OK else { return status }
      let (system, path) = Slot.of(file)
      system.written(path, at: Int(size), [])
      return status
    }
    methods.xSync = { file, flags in
      let (system, path) = Slot.of(file)
      guard system.synced(path) else { return SQLITE_IOERR | (4 << 8) }
      return Slot.real(file).pointee.pMethods.pointee.xSync(Slot.real(file), flags)
    }
    methods.xFileSize = { file, size in
      Slot.real(file).pointee.pMethods.pointee.xFileSize(Slot.real(file), size)
    }
    methods.xLock = { file, level in
      Slot.real(file).pointee.pMethods.pointee.xLock(Slot.real(file), level)
    }
    methods.xUnlock = { file, level in
      Slot.real(file).pointee.pMethods.pointee.xUnlock(Slot.real(file), level)
    }
    methods.xCheckReservedLock = { file, result in
      Slot.real(file).pointee.pMethods.pointee.xCheckReservedLock(Slot.real(file), result)
    }
    methods.xFileControl = { file, operation, argument in
      Slot.real(file).pointee.pMethods.pointee.xFileControl(Slot.real(file), operation, argument)
    }
    methods.xSectorSize = { file in
      Slot.real(file).pointee.pMethods.pointee.xSectorSize(Slot.real(file))
    }
    methods.xDeviceCharacteristics = { file in
      Slot.real(file).pointee.pMethods.pointee.xDeviceCharacteristics(Slot.real(file))
    }
    methods.xShmMap = { file, region, size, extend, address in
      Slot.real(file).pointee.pMethods.pointee.xShmMap(
        Slot.real(file), region, size, extend, address)
    }
    methods.xShmLock = { file, offset, count, flags in
      Slot.real(file).pointee.pMethods.pointee.xShmLock(Slot.real(file), offset, count, flags)
    }
    methods.xShmBarrier = { file in
      Slot.real(file).pointee.pMethods.pointee.xShmBarrier(Slot.real(file))
    }
    methods.xShmUnmap = { file, remove in
      Slot.real(file).pointee.pMethods.pointee.xShmUnmap(Slot.real(file), remove)
    }
    table.initialize(to: methods)
    return UnsafePointer(table)
  }()
}
