/// A 128-bit identifier: 16 bytes, compared and hashed as a value.
///
/// `Kind` keeps identifiers of different things apart at compile time.
public struct ID128<Kind>: Hashable, Sendable, CustomStringConvertible {
  /// The first eight bytes, big-endian.
  public let high: UInt64
  /// The last eight bytes, big-endian.
  public let low: UInt64

  /// Makes an identifier of its two halves.
  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Takes exactly 16 bytes; nil for any other count.
  @inlinable
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for (index, byte) in bytes.enumerated() {
      if index < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
    }
    self.init(high: high, low: low)
  }

  /// Takes 32 hexadecimal digits; nil for anything else.
  public init?(hex text: String) {
    guard text.utf8.count == 32, let bytes = Hex.decode(text) else { return nil }
    self.init(bytes: bytes)
  }

  /// The 16 bytes.
  public var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(16)
    for shift in stride(from: 56, through: 0, by: -8) {
      result.append(UInt8(truncatingIfNeeded: high >> UInt64(shift)))
    }
    for shift in stride(from: 56, through: 0, by: -8) {
      result.append(UInt8(truncatingIfNeeded: low >> UInt64(shift)))
    }
    return result
  }

  /// 32 lower-case hexadecimal digits.
  public var description: String { Hex.encode(bytes) }
}

extension ID128: Comparable {
  /// Compares as unsigned 128-bit numbers.
  public static func < (left: ID128, right: ID128) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

/// Tells extent identifiers from others.
public enum ExtentKind {}
/// Tells store identifiers from others.
public enum StoreKind {}
/// Tells storage server identifiers from others.
public enum ServerKind {}
/// Tells cluster identifiers from others.
public enum ClusterKind {}

/// Names one extent; its first six bytes are the epoch of the writer that made it.
public typealias ExtentID = ID128<ExtentKind>
/// Names one store, for as long as its directory lives.
public typealias StoreID = ID128<StoreKind>
/// Names one storage server, for as long as its data directory lives.
public typealias ServerID = ID128<ServerKind>
/// Names one installation: all its stores carry it.
public typealias ClusterID = ID128<ClusterKind>

extension ID128 where Kind == ExtentKind {
  /// The largest epoch that an extent id can carry: 48 bits.
  public static var maximumEpoch: UInt64 { (1 << 48) - 1 }

  /// Makes an extent id of its writer's epoch and 80 random bits.
  ///
  /// Precondition: `epoch` is at most `maximumEpoch`.
  public init(epoch: UInt64, random: (UInt16, UInt64)) {
    precondition(epoch <= Self.maximumEpoch, "an epoch has 48 bits")
    self.init(high: epoch << 16 | UInt64(random.0), low: random.1)
  }

  /// The epoch of the writer that made the extent.
  public var epoch: UInt64 { high >> 16 }
}
