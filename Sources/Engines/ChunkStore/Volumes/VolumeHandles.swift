internal import Disk
internal import Synchronization

/// The volumes that are open for reading: a few of them, the least recently opened goes first.
final class VolumeHandles: Sendable {
  private struct State {
    var handles: [UInt32: any FileHandle] = [:]
    var order: [UInt32] = []
  }

  private let fileSystem: any FileSystem
  private let layout: StoreLayout
  private let limit: Int
  private let state = Mutex(State())

  init(fileSystem: any FileSystem, layout: StoreLayout, limit: Int) {
    self.fileSystem = fileSystem
    self.layout = layout
    self.limit = limit
  }

  /// A handle for reading. It goes through the page cache: small reads are often repeated, and
  /// records do not begin at page boundaries.
  func open(_ volume: UInt32) throws(DiskError) -> any FileHandle {
    if let handle = state.withLock({ $0.handles[volume] }) { return handle }
    let handle = try openFile(volume)
    let dropped = state.withLock { state -> (any FileHandle)? in
      guard state.handles.updateValue(handle, forKey: volume) == nil else { return nil }
      state.order.append(volume)
      guard state.order.count > limit else { return nil }
      return state.handles.removeValue(forKey: state.order.removeFirst())
    }
    // The file is closed outside the lock.
    _ = dropped
    return handle
  }

  private func openFile(_ volume: UInt32) throws(DiskError) -> any FileHandle {
    do {
      // Writable, since dead records are punched out.
      return try fileSystem.open(layout.volume(volume), FileMode(.write))
    } catch {
      guard error.code == .readOnly || error.code == .permission else { throw error }
      return try fileSystem.open(layout.volume(volume), FileMode(.read))
    }
  }

  /// Lets go of a volume that is no more.
  func forget(_ volume: UInt32) {
    let dropped = state.withLock { state in
      state.order.removeAll { $0 == volume }
      return state.handles.removeValue(forKey: volume)
    }
    _ = dropped
  }
}
