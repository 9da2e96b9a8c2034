import CPostgres
import Glibc

extension Connection {
  enum Direction {
    case reading
    /// Until it can be written; what arrives meanwhile ends the wait too, since a server that is
    /// not read from may stop reading.
    case writing
  }

  /// Waits until the socket is ready. Returns whether something has arrived.
  func wait(for direction: Direction, _ deadline: Deadline) throws(PostgresError) -> Bool {
    let socket = unsafe PQsocket(handle)
    guard socket >= 0 else { throw lost("closed") }
    while true {
      let milliseconds = deadline.remainingMilliseconds
      guard milliseconds > 0 else { throw broken(.deadlineExceeded) }
      let readable = Int16(POLLIN)
      var waits = [
        pollfd(
          fd: socket, events: direction == .reading ? readable : readable | Int16(POLLOUT),
          revents: 0),
        pollfd(fd: wakeup.descriptor, events: readable, revents: 0),
      ]
      // While connecting, a socket that is not connected yet must not count as readable.
      if direction == .writing, unsafe PQstatus(handle) != CONNECTION_OK {
        waits[0].events = Int16(POLLOUT)
      }
      let count = unsafe poll(&waits, 2, Int32(clamping: milliseconds))
      if count < 0 && errno != EINTR { throw lost("cannot be waited for") }
      guard count > 0 else { continue }
      if waits[1].revents != 0 { throw broken(.cancelled) }
      if waits[0].revents != 0 { return waits[0].revents & ~Int16(POLLOUT) != 0 }
    }
  }

  /// Whether nothing has arrived and the server is still there.
  func isQuiet() -> Bool {
    let socket = unsafe PQsocket(handle)
    guard socket >= 0 else { return false }
    var waits = [
      pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
      pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    return unsafe poll(&waits, 2, 0) == 0
  }

  /// Records that the session is of no use any more.
  func broken(_ error: PostgresError) -> PostgresError {
    isBroken = true
    return error
  }

  func lost(_ reason: String) -> PostgresError { broken(.connectionLost(reason)) }
}
