import CPlatform
import CPostgres
import Glibc

/// One session with a PostgreSQL server, in pipeline mode.
///
/// It belongs to one thread at a time: whoever hands it on makes sure of that. Only `interrupt` may
/// be called from anywhere. Functions that wait block their thread, never longer than to the
/// deadline that they are given; looking up a host's name is the one thing that has its own limit,
/// the resolver's.
@safe
public final class Connection {
  let handle: OpaquePointer
  let target: ConnectionTarget
  let wakeup: Wakeup
  /// By number, the types that each prepared statement's values have.
  var prepared: [Int: [UInt32]] = [:]
  /// What was sent since the last `finish`, in order.
  var pending: [PendingCommand] = []
  /// Set once the session cannot be used any more.
  public internal(set) var isBroken = false

  /// Sent, and not answered yet.
  enum PendingCommand {
    /// The statement of that number, whose values have these types.
    case prepare(Int, [UInt32])
    case query
  }

  private init(handle: OpaquePointer, target: ConnectionTarget, wakeup: Wakeup) {
    unsafe self.handle = unsafe handle
    self.target = target
    self.wakeup = wakeup
  }

  deinit {
    unsafe PQfinish(handle)
  }

  /// Connects. Throws `noConnection`, `deadlineExceeded` or `failed`.
  public static func open(
    _ target: ConnectionTarget, deadline: Deadline
  ) throws(PostgresError) -> Connection {
    guard let wakeup = Wakeup() else { throw .failed("no descriptor is left") }
    let names = ["dbname", "client_encoding", "fallback_application_name", "options"]
    let values = [target.text, "UTF8", target.applicationName, target.options]
    // Without settings, options that the URL carries are left as they are.
    let count = target.sessionSettings.isEmpty ? 3 : 4
    let started = unsafe withStrings(Array(names.prefix(count))) { keywords in
      unsafe withStrings(Array(values.prefix(count))) { values in
        unsafe PQconnectStartParams(keywords, values, 1)
      }
    }
    guard let handle = unsafe started else { throw .failed("no memory") }
    // Notices of the server go nowhere: the default writes them to standard error.
    unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
    let connection = unsafe Connection(handle: handle, target: target, wakeup: wakeup)
    try connection.connect(deadline)
    return connection
  }

  private func connect(_ deadline: Deadline) throws(PostgresError) {
    var direction = PGRES_POLLING_WRITING
    while true {
      guard unsafe PQstatus(handle) != CONNECTION_BAD else { throw .noConnection(message) }
      if direction == PGRES_POLLING_OK { break }
      guard direction != PGRES_POLLING_FAILED else { throw .noConnection(message) }
      _ = try wait(for: direction == PGRES_POLLING_WRITING ? .writing : .reading, deadline)
      direction = unsafe PQconnectPoll(handle)
    }
    guard unsafe PQsetnonblocking(handle, 1) == 0, unsafe PQenterPipelineMode(handle) == 1 else {
      throw .failed(message)
    }
  }

  /// The library's message about what failed last, without passwords.
  var message: String {
    guard let text = unsafe PQerrorMessage(handle) else { return "" }
    return unsafe target.redact(String(cString: text))
  }

  /// Whether an idle session still is what it was: the server has said nothing and not gone away.
  /// Costs one system call and waits for nothing.
  public var isAlive: Bool {
    guard !isBroken, unsafe PQstatus(handle) == CONNECTION_OK else { return false }
    return isQuiet()
  }

  /// Has whoever waits on this session, now or next, throw `cancelled`. For any thread.
  public func interrupt() { wakeup.signal() }

  /// The part of a connection that may be kept elsewhere, to interrupt it.
  public var interrupter: Interrupter { Interrupter(wakeup: wakeup) }

  /// Zero-terminated strings for as long as `body` runs, with a null behind the last.
  private static func withStrings<R>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R
  ) -> R {
    let copies = unsafe strings.map { unsafe strdup($0) }
    defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
    var pointers: [UnsafePointer<CChar>?] = unsafe []
    for index in unsafe copies.indices {
      unsafe pointers.append(UnsafePointer<CChar>(copies[index]))
    }
    unsafe pointers.append(nil)
    return unsafe pointers.withUnsafeBufferPointer { buffer in
      unsafe body(buffer.baseAddress)
    }
  }
}

/// Interrupts a connection from any thread.
public struct Interrupter: Sendable {
  let wakeup: Wakeup

  /// Has whoever waits on the session, now or next, throw `PostgresError.cancelled`.
  public func interrupt() { wakeup.signal() }
}

/// A descriptor that ends a wait; closed when the last reference goes.
final class Wakeup: Sendable {
  let descriptor: Int32

  init?() {
    descriptor = platform_wakeup_create()
    if descriptor < 0 { return nil }
  }

  deinit {
    if descriptor >= 0 { platform_close(descriptor) }
  }

  func signal() { platform_wakeup_signal(descriptor) }
}
