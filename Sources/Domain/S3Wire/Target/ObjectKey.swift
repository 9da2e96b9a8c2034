/// The key of an object: 1 to 1024 bytes of UTF-8, ordered as bytes.
///
/// No byte has a meaning: dots, slashes and backslashes are characters like others, and nothing is
/// ever normalised.
public struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The most bytes of a key.
  public static let maximumBytes = 1024

  /// The bytes; valid UTF-8.
  public let bytes: [UInt8]

  /// Takes bytes; throws `InvalidURI` unless they are UTF-8, and `KeyTooLongError`.
  public init(_ bytes: some Collection<UInt8>) throws(S3Error) {
    guard bytes.count <= Self.maximumBytes else {
      throw S3Error(
        .keyTooLongError,
        details: [
          .init("Size", "\(bytes.count)"), .init("MaxSizeAllowed", "\(Self.maximumBytes)"),
        ])
    }
    guard !bytes.isEmpty else {
      throw .invalidArgument("A key must be specified.", name: "key")
    }
    let array = Array(bytes)
    guard String(validating: array, as: UTF8.self) != nil else { throw S3Error(.invalidURI) }
    self.bytes = array
  }

  /// Takes the UTF-8 of a string.
  public init(_ text: String) throws(S3Error) {
    try self.init(text.utf8)
  }

  /// The key as text.
  public var description: String { String(decoding: bytes, as: UTF8.self) }

  /// Compares as bytes.
  public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
