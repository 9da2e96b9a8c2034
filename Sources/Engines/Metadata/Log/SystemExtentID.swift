public import Base

/// The ids of extents that hold what the system keeps about itself in the stores.
///
/// Their epochs lie above all that writers are given, so that no sweep of a writer's leftovers
/// meets them, and their ids tell what they are: a list of names suffices to find them.
public enum SystemExtentID: Hashable, Sendable {
  /// A part of a snapshot of the metadata.
  case snapshot(number: UInt32, part: UInt16)
  /// A piece of the change log, by the number of the last transaction in it.
  case changeLog(last: Int64)
  /// The wrapped key-encryption keys, in the open.
  case keys

  private static let snapshotEpoch: UInt64 = 0x8000_0000_0001
  private static let logEpoch: UInt64 = 0x8000_0000_0002
  private static let keysEpoch: UInt64 = 0x8000_0000_0003

  /// The largest number that the id of a piece carries.
  public static let maximumNumber: Int64 = (1 << 48) - 1

  /// The ids of all parts of snapshots lie from the first of these to the last.
  static let firstPart = SystemExtentID.snapshot(number: 0, part: 0).id(random: 0)
  static let lastPart = SystemExtentID.snapshot(number: .max, part: .max).id(random: .max)

  /// Whether an extent is one of the system's own, of whatever kind.
  public static func isReserved(_ id: ExtentID) -> Bool { id.epoch >> 47 == 1 }

  /// What an id names; nil for an extent of a writer.
  public init?(_ id: ExtentID) {
    let top = id.high & 0xffff
    switch id.epoch {
    case Self.snapshotEpoch:
      self = .snapshot(
        number: UInt32(top << 16 | id.low >> 48), part: UInt16(id.low >> 32 & 0xffff))
    case Self.logEpoch: self = .changeLog(last: Int64(top << 32 | id.low >> 32))
    case Self.keysEpoch: self = .keys
    default: return nil
    }
  }

  /// The id; `random` makes it one that was never used before.
  public func id(random: UInt32) -> ExtentID {
    switch self {
    case .snapshot(let number, let part):
      ExtentID(
        epoch: Self.snapshotEpoch,
        random: (
          UInt16(number >> 16), UInt64(number & 0xffff) << 48 | UInt64(part) << 32 | UInt64(random)
        ))
    case .changeLog(let last):
      ExtentID(
        epoch: Self.logEpoch,
        random: (
          UInt16(truncatingIfNeeded: last >> 32),
          UInt64(truncatingIfNeeded: last & 0xffff_ffff) << 32 | UInt64(random)
        ))
    case .keys: ExtentID(epoch: Self.keysEpoch, random: (0, 0))
    }
  }
}
