public import Base

/// How many data and parity blocks a stripe has: "4+2" reads back from any four of six.
public struct ErasureScheme: Hashable, Sendable, CustomStringConvertible {
  /// The largest number of blocks in a stripe, parity included.
  public static let maximumBlockCount = 32

  /// The scheme of an installation that asks for no other.
  public static let standard = ErasureScheme(validData: 4, validParity: 2)

  /// Data blocks of a stripe, at least 1.
  public let data: Int
  /// Parity blocks of a stripe, at least 0: so many may be lost.
  public let parity: Int

  /// Blocks of a stripe, and chunks of an extent.
  public var total: Int { data + parity }

  /// The chunks that must be durable before a write is acknowledged: k + ⌈m/2⌉.
  public var writeQuorum: Int { data + (parity + 1) / 2 }

  /// Takes at least one data block, no negative parity and at most 32 blocks together; nil for
  /// anything else.
  public init?(data: Int, parity: Int) {
    guard (1...Self.maximumBlockCount).contains(data),
      (0...Self.maximumBlockCount - data).contains(parity)
    else { return nil }
    self.init(validData: data, validParity: parity)
  }

  private init(validData: Int, validParity: Int) {
    data = validData
    parity = validParity
  }

  /// Reads the form "4+2": two decimal numbers without signs or spaces.
  public init(text: String) throws(FormatError) {
    let parts = text.utf8.split(separator: 0x2b, omittingEmptySubsequences: false)
    guard parts.count == 2, let data = Self.number(parts[0]), let parity = Self.number(parts[1]),
      let scheme = ErasureScheme(data: data, parity: parity)
    else {
      throw FormatError("an erasure scheme is written like 4+2, with at most 32 blocks")
    }
    self = scheme
  }

  private static func number(_ digits: Substring.UTF8View) -> Int? {
    guard (1...2).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  /// The form "4+2".
  public var description: String { "\(data)+\(parity)" }
}
