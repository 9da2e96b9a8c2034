internal import CPlatform

/// A SHA-256 (FIPS 180-4) that can go on together with another one, at little more than the cost
/// of one: for the chunks of a stripe, which have the same length.
public struct PairedSHA256: Sendable {
  private static let blockLength = 64

  private var state: [8 of UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19,
  ]
  /// The bytes behind the last whole block.
  private var tail = [UInt8]()
  private var count: UInt64 = 0

  /// Starts with no bytes. Nil where the processor lacks the instructions.
  public init?() {
    guard platform_sha256_is_supported() != 0 else { return nil }
    tail.reserveCapacity(2 * Self.blockLength)
  }

  /// Takes the next bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    count += UInt64(bytes.count)
    var rest = unsafe bytes[...]
    if !tail.isEmpty {
      let missing = unsafe rest.prefix(Self.blockLength - tail.count)
      unsafe tail.append(contentsOf: missing)
      unsafe rest = rest.dropFirst(missing.count)
      guard tail.count == Self.blockLength else { return }
      compressTail()
    }
    let whole = unsafe rest.prefix(rest.count / Self.blockLength * Self.blockLength)
    unsafe compress(UnsafeRawBufferPointer(rebasing: whole))
    unsafe tail.append(contentsOf: rest.dropFirst(whole.count))
  }

  /// Takes the next bytes of two messages. They cost the least when both have as many, and all
  /// before them were whole blocks of 64 bytes.
  public static func update(
    _ first: inout PairedSHA256, _ firstBytes: UnsafeRawBufferPointer,
    _ second: inout PairedSHA256, _ secondBytes: UnsafeRawBufferPointer
  ) {
    var paired = 0
    if first.tail.isEmpty, second.tail.isEmpty, firstBytes.count == secondBytes.count,
      let firstStart = firstBytes.baseAddress, let secondStart = secondBytes.baseAddress
    {
      let blocks = firstBytes.count / blockLength
      paired = blocks * blockLength
      unsafe first.withState { first in
        unsafe second.withState { second in
          unsafe platform_sha256_two(first, firstStart, second, secondStart, blocks)
        }
      }
      first.count += UInt64(paired)
      second.count += UInt64(paired)
    }
    unsafe first.update(UnsafeRawBufferPointer(rebasing: firstBytes[paired...]))
    unsafe second.update(UnsafeRawBufferPointer(rebasing: secondBytes[paired...]))
  }

  /// The digest, 32 bytes; afterwards it is of no use.
  public mutating func finish() -> [UInt8] {
    let bits = count &* 8
    tail.append(0x80)
    let end = tail.count > Self.blockLength - 8 ? 2 * Self.blockLength : Self.blockLength
    tail.append(contentsOf: repeatElement(0, count: end - 8 - tail.count))
    for shift in stride(from: 56, through: 0, by: -8) {
      tail.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
    }
    compressTail()
    var digest: [UInt8] = []
    digest.reserveCapacity(32)
    for index in state.indices {
      for shift in stride(from: 24, through: 0, by: -8) {
        digest.append(UInt8(truncatingIfNeeded: state[index] >> UInt32(shift)))
      }
    }
    return digest
  }

  /// Precondition: the tail is whole blocks.
  private mutating func compressTail() {
    let blocks = tail
    tail.removeAll(keepingCapacity: true)
    unsafe blocks.withUnsafeBytes { unsafe compress($0) }
  }

  /// Precondition: `bytes` are whole blocks.
  private mutating func compress(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    unsafe withState { unsafe platform_sha256_one($0, start, bytes.count / Self.blockLength) }
  }

  private mutating func withState(_ body: (UnsafeMutablePointer<UInt32>) -> Void) {
    var span = state.mutableSpan
    unsafe span.withUnsafeMutableBufferPointer { words in
      guard let start = words.baseAddress else { return }
      unsafe body(start)
    }
  }
}
