internal import Glibc

/// The rules that all system calls of this module share.
enum SystemCall {
  /// Calls until the call is not interrupted by a signal; the negative result becomes an error.
  @discardableResult
  static func retry<R: FixedWidthInteger>(
    _ operation: DiskError.Operation, _ path: DiskPath, _ call: () -> R
  ) throws(DiskError) -> R {
    while true {
      let result = call()
      if result >= 0 { return result }
      let number = errno
      guard number == EINTR else { throw DiskError(errno: number, operation, path) }
    }
  }

  /// Moves `count` bytes by a call that may move fewer at a time; returns how many went.
  ///
  /// The call gets how many went before; it returns how many went now, 0 to end early.
  static func transfer(
    count: Int, _ call: (Int) throws(DiskError) -> Int
  ) throws(DiskError) -> Int {
    var done = 0
    while done < count {
      let moved = try call(done)
      guard moved > 0 else { break }
      done += moved
    }
    return done
  }
}
