import Base

/// Names one bucket for ever: ids are not used again.
public struct BucketID: Hashable, Sendable {
  /// The row's number.
  public var number: Int64

  /// Wraps a row's number.
  public init(_ number: Int64) { self.number = number }
}

/// Names one user for ever.
public struct UserID: Hashable, Sendable {
  /// The row's number.
  public var number: Int64

  /// Wraps a row's number.
  public init(_ number: Int64) { self.number = number }
}

/// Names one version of one object, and one multipart upload: made by a writer, never used again.
///
/// The upper 27 bits after the sign are the writer's epoch, the lower 36 a counter of that writer,
/// so numbers of one writer ascend and rows are appended to the end of their table.
public struct VersionNumber: Hashable, Comparable, Sendable {
  /// The largest epoch that fits.
  public static let maximumEpoch: UInt64 = (1 << 27) - 1
  /// The largest counter that fits.
  public static let maximumCounter: UInt64 = (1 << 36) - 1

  /// The number as it stands in the tables; positive.
  public var rawValue: Int64

  /// Wraps a number read from a table.
  public init(rawValue: Int64) { self.rawValue = rawValue }

  /// Makes a number. Precondition: both parts are at most their maximum.
  public init(epoch: UInt64, counter: UInt64) {
    precondition(epoch <= Self.maximumEpoch && counter <= Self.maximumCounter)
    rawValue = Int64(epoch << 36 | counter)
  }

  /// The epoch of the writer that made it.
  public var epoch: UInt64 { UInt64(max(rawValue, 0)) >> 36 }

  /// Earlier made by the same writer is less.
  public static func < (left: VersionNumber, right: VersionNumber) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// The opaque name that a client sees: a number and 64 random bits, as 32 hexadecimal digits.
///
/// Version ids and upload ids have this form.
public struct OpaqueID: Hashable, Sendable {
  /// The row that it names.
  public var number: VersionNumber
  /// What makes it impossible to guess.
  public var nonce: UInt64

  /// Makes a name of its parts.
  public init(number: VersionNumber, nonce: UInt64) {
    self.number = number
    self.nonce = nonce
  }

  /// Parses 32 hexadecimal digits; nil for anything else.
  public init?(_ text: String) {
    guard let id = ID128<OpaqueID>(hex: text), let number = Int64(exactly: id.high), number > 0
    else { return nil }
    self.init(number: VersionNumber(rawValue: number), nonce: id.low)
  }

  /// The 32 digits.
  public var text: String {
    ID128<OpaqueID>(high: UInt64(bitPattern: number.rawValue), low: nonce).description
  }
}
