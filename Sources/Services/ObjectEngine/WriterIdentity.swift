public import Base
public import Metadata
public import Runtime
import Synchronization

/// Makes the ids of what one writer writes: unique for ever, since its epoch is.
public final class WriterIdentity: Sendable {
  /// The epoch that the metadata gave.
  public let epoch: UInt64
  private let counter = Atomic<UInt64>(1)
  /// Numbers from here on are for delete markers, which the metadata store numbers itself.
  private static let maximumCounter: UInt64 = (1 << 35) - 1
  private let random: any RandomSource

  /// Makes ids of `epoch`. Precondition: it is at most `VersionNumber.maximumEpoch`.
  public init(epoch: UInt64, random: any RandomSource) {
    precondition(epoch <= VersionNumber.maximumEpoch, "an epoch has 27 bits")
    self.epoch = epoch
    self.random = random
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
