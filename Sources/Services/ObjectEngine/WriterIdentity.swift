public import Base
public import Metadata
public import Runtime
import Synchronization

/// Makes the ids of what one writer writes: unique for ever, since its epoch is.
///
/// A process that lost its epoch gets another one and goes on with it; what it began under the
/// former one is refused at its commit.
public final class WriterIdentity: Sendable {
  private struct State {
    var epoch: UInt64
    /// Until when the epoch may be used; nil for as long as the process lives.
    var end: Duration?
  }

  private let state: Mutex<State>
  private let counter = Atomic<UInt64>(1)
  /// Numbers from here on are for delete markers, which the metadata store numbers itself.
  private static let maximumCounter: UInt64 = (1 << 35) - 1
  private let random: any RandomSource
  private let monotonic: any MonotonicClock

  /// Makes ids of `epoch`, which is this process's for as long as it lives, or until `end` by
  /// `clock` unless that is put off.
  ///
  /// Precondition: the epoch is at most `VersionNumber.maximumEpoch`.
  public init(
    epoch: UInt64, until end: Duration? = nil, clock: any MonotonicClock = SystemMonotonicClock(),
    random: any RandomSource
  ) {
    precondition(epoch <= VersionNumber.maximumEpoch, "an epoch has 27 bits")
    state = Mutex(State(epoch: epoch, end: end))
    monotonic = clock
    self.random = random
  }

  /// The epoch that the metadata gave.
  public var epoch: UInt64 { state.withLock { $0.epoch } }

  /// Whether what is begun now may still be committed under this epoch.
  public var isLive: Bool {
    guard let end = state.withLock({ $0.end }) else { return true }
    return monotonic.now < end
  }

  /// The clock that the end of the epoch is measured by.
  public var clock: any MonotonicClock { monotonic }

  /// The epoch's lease was renewed: it may be used until `end`.
  public func extend(until end: Duration) {
    state.withLock { $0.end = max($0.end ?? end, end) }
  }

  /// Goes on under another epoch until `end`. Precondition: it was given to this process, later.
  public func replace(epoch: UInt64, until end: Duration) {
    precondition(epoch <= VersionNumber.maximumEpoch, "an epoch has 27 bits")
    state.withLock { $0 = State(epoch: epoch, end: end) }
  }

  /// The epoch is lost: nothing may be begun under it.
  public func lose() {
    state.withLock { $0.end = .zero }
  }

  /// The id of a new extent.
  public func nextExtent() -> ExtentID {
    ExtentID(epoch: epoch, random: (UInt16(truncatingIfNeeded: random.next()), random.next()))
  }

  /// The id of a new version or upload.
  public func nextOpaqueID() -> OpaqueID {
    let count = counter.wrappingAdd(1, ordering: .relaxed).oldValue
    return OpaqueID(
      number: VersionNumber(epoch: epoch, counter: count & Self.maximumCounter),
      nonce: random.next())
  }
}
