/// Arrays for received and unsent bytes, kept by one loop and used on its thread only.
///
/// Two sizes: small ones for heads and small answers, large ones for long heads and for bodies
/// that are decoded. What is not in use beyond the bounds is freed.
struct WindowPool {
  static let small = 16 << 10
  private static let keptSmall = 128
  private static let keptLarge = 32

  /// At least the largest head and a bit, so that a head at its limit is seen to be one.
  let large: Int
  private var smallWindows: [[UInt8]] = []
  private var largeWindows: [[UInt8]] = []
  private var outputs: [[UInt8]] = []

  init(headLimit: Int) {
    large = max(64 << 10, headLimit + 4096)
  }

  /// An array of `small` or `large` bytes of undefined content.
  mutating func take(large isLarge: Bool) -> [UInt8] {
    if isLarge { return largeWindows.popLast() ?? [UInt8](repeating: 0, count: large) }
    return smallWindows.popLast() ?? [UInt8](repeating: 0, count: Self.small)
  }

  /// Gives an array back. Precondition: it came from `take` and nobody else holds it.
  mutating func give(_ window: consuming [UInt8]) {
    if window.count == Self.small {
      if smallWindows.count < Self.keptSmall { smallWindows.append(window) }
    } else if window.count == large, largeWindows.count < Self.keptLarge {
      largeWindows.append(window)
    }
  }

  /// An empty array with room for a response head and a small body.
  mutating func takeOutput() -> [UInt8] {
    if let output = outputs.popLast() { return output }
    var output: [UInt8] = []
    output.reserveCapacity(Self.small)
    return output
  }

  /// Gives an array back, whatever it holds.
  mutating func giveOutput(_ output: consuming [UInt8]) {
    guard outputs.count < Self.keptSmall, output.capacity <= large else { return }
    output.removeAll(keepingCapacity: true)
    outputs.append(output)
  }
}
