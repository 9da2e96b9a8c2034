import CPlatform
import Synchronization

/// Where random bytes come from: the system's in a server, a seeded one in tests.
public protocol RandomSource: Sendable {
  /// So many random bytes.
  func bytes(_ count: Int) -> [UInt8]
  /// A random number of 64 bits.
  func next() -> UInt64
}

/// The kernel's generator, fit for keys.
public struct SystemRandom: RandomSource {
  /// Makes a source.
  public init() {}

  /// So many random bytes from `getrandom`.
  public func bytes(_ count: Int) -> [UInt8] {
    guard count > 0 else { return [] }
    var result = [UInt8](repeating: 0, count: count)
    let status = unsafe result.withUnsafeMutableBytes { buffer in
      unsafe platform_random(buffer.baseAddress, buffer.count)
    }
    precondition(status == 0, "the kernel gives no random bytes")
    return result
  }

  /// A random number of 64 bits.
  public func next() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}

/// A reproducible generator (SplitMix64) for tests and simulations; never for keys that matter.
public final class SeededRandom: RandomSource, RandomNumberGenerator {
  private let state: Mutex<UInt64>

  /// The same seed gives the same sequence.
  public init(seed: UInt64) {
    state = Mutex(seed)
  }

  /// The next number of the sequence.
  public func next() -> UInt64 {
    state.withLock { state in
      state &+= 0x9e37_79b9_7f4a_7c15
      var value = state
      value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
      value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
      return value ^ (value >> 31)
    }
  }

  /// The next bytes of the sequence.
  public func bytes(_ count: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    while result.count < count {
      let word = next()
      for shift in stride(from: 0, to: 64, by: 8) where result.count < count {
        result.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
    return result
  }
}
