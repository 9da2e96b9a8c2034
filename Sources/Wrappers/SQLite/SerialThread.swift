import CSQLite
import Glibc
import Synchronization

/// One thread that runs one function to its end: what a connection is confined to.
@safe
public final class SerialThread: Sendable {
  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void
    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  private let thread: Mutex<pthread_t?>

  /// Starts a thread that runs `body`; nil when the system has no thread to give.
  ///
  /// `name`, at most 15 bytes, is what profiles call it.
  public init?(name: String, _ body: @escaping @Sendable () -> Void) {
    let start = unsafe Unmanaged.passRetained(Start(name, body))
    var started = pthread_t()
    let status = unsafe pthread_create(
      &started, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe csqlite_name_thread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    guard status == 0 else {
      unsafe start.release()
      return nil
    }
    thread = Mutex(started)
  }

  deinit {
    // Nobody waited for it: it ends on its own.
    thread.withLock { thread in
      if let thread { pthread_detach(thread) }
      thread = nil
    }
  }

  /// Waits until `body` has returned. Blocks; not to be called on that thread. A second call
  /// returns at once.
  public func join() {
    let waited = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    if let waited { pthread_join(waited, nil) }
  }
}
