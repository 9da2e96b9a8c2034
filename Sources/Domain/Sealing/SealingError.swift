public import Base

/// Why sealed bytes do not open.
public enum SealingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The bytes do not follow format 1.
  case malformed(FormatError)
  /// The bytes were changed or moved, or belong to another key, extent or cluster.
  case authenticationFailed
  /// The key-encryption key of this number is not in the ring.
  case unknownKeyEncryptionKey(UInt32)
  /// The extent key is wrapped with a customer's key, and none was given.
  case customerKeyRequired
  /// A customer's key was given for an extent that is not wrapped with one.
  case customerKeyNotExpected

  /// What is wrong, for a log; holds no secret.
  public var description: String {
    switch self {
    case .malformed(let error): "sealed bytes are malformed: \(error)"
    case .authenticationFailed: "sealed bytes fail authentication"
    case .unknownKeyEncryptionKey(let number): "key-encryption key \(number) is not in the ring"
    case .customerKeyRequired: "the extent needs its customer's key"
    case .customerKeyNotExpected: "the extent is not sealed with a customer's key"
    }
  }
}
