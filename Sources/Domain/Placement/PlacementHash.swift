/// The 64-bit hash of the ring, part of format 1: another one would send every new extent
/// somewhere else.
enum PlacementHash {
  /// Stirs one word into a hash (the finaliser of SplitMix64).
  static func mix(_ state: UInt64, _ word: UInt64) -> UInt64 {
    var value = (state ^ word) &+ 0x9e37_79b9_7f4a_7c15
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }

  /// Where a virtual node of a store lies on the ring.
  static func point(high: UInt64, low: UInt64, number: Int) -> UInt64 {
    mix(mix(mix(1, high), low), UInt64(truncatingIfNeeded: number))
  }

  /// Where an extent lies on the ring.
  static func key(high: UInt64, low: UInt64) -> UInt64 {
    mix(mix(2, high), low)
  }
}
