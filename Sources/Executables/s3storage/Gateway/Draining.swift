import Synchronization

/// Whether the process is on its way to its end: what health checks tell.
final class Draining: Sendable {
  private let flag = Atomic<Bool>(false)

  /// Whether `begin` was called.
  var hasBegun: Bool { flag.load(ordering: .relaxed) }

  /// Says that the process stops.
  func begin() { flag.store(true, ordering: .relaxed) }
}
