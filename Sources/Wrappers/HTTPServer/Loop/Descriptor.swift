import CPlatform

/// A file descriptor with one owner, closed when the owner goes.
struct Descriptor: ~Copyable, Sendable {
  let number: Int32

  /// Takes over a descriptor. Precondition: it is open and nobody else closes it.
  init(takingOwnershipOf number: Int32) {
    self.number = number
  }

  /// Takes over what a call returned; throws what it reported as a negative errno.
  init(checking result: Int32) throws(SystemFailure) {
    guard result >= 0 else { throw SystemFailure(code: -result) }
    number = result
  }

  deinit {
    platform_close(number)
  }
}

/// An errno.
struct SystemFailure: Error, Equatable {
  let code: Int32
}
