/// The 12 bytes that make each seal under a key another one.
public struct AESGCMNonce: Sendable {
  let storage: [12 of UInt8]

  /// Twelve zero bytes: for keys that seal once only.
  public static let zero = AESGCMNonce(counter: 0)

  /// Four zero bytes and a big-endian counter.
  public init(counter: UInt64) {
    var storage: [12 of UInt8] = .init(repeating: 0)
    for index in 0..<8 {
      storage[4 + index] = UInt8(truncatingIfNeeded: counter >> UInt64(56 - 8 * index))
    }
    self.storage = storage
  }

  /// Takes exactly 12 bytes; nil for any other count.
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == AESGCM.nonceByteCount else { return nil }
    var storage: [12 of UInt8] = .init(repeating: 0)
    for (index, byte) in bytes.enumerated() { storage[index] = byte }
    self.storage = storage
  }

  /// The 12 bytes.
  public var bytes: [UInt8] {
    storage.indices.map { storage[$0] }
  }
}
