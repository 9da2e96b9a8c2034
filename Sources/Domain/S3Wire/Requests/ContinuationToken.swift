internal import Base

/// Where a list goes on: opaque to clients, checked when it comes back.
///
/// The bytes are a version, a check value and the key or common prefix behind which the next page
/// begins. It grants nothing: whoever may list the bucket may begin anywhere.
public struct ContinuationToken: Hashable, Sendable {
  private static let version: UInt8 = 1
  private static let headBytes = 5

  /// The key or common prefix behind which the page begins.
  public let after: [UInt8]

  /// Makes a token. Precondition: `after` has at most 1024 bytes.
  public init(after: [UInt8]) {
    precondition(after.count <= ObjectKey.maximumBytes, "keys are bounded")
    self.after = after
  }

  /// Reads a token; throws `InvalidArgument` for what this server never made.
  public init(_ text: String) throws(S3Error) {
    guard text.utf8.count <= 2 * ObjectKey.maximumBytes, let bytes = Base64.decodeURLSafe(text),
      bytes.count > Self.headBytes, bytes.count <= Self.headBytes + ObjectKey.maximumBytes,
      bytes[0] == Self.version
    else { throw Self.invalid }
    let after = Array(bytes[Self.headBytes...])
    guard bytes[1..<Self.headBytes].elementsEqual(Self.check(after)) else { throw Self.invalid }
    self.after = after
  }

  /// The form for clients: URL-safe Base64.
  public var text: String {
    Base64.encodeURLSafe([Self.version] + Self.check(after) + after)
  }

  /// FNV-1a: tells a mistyped or foreign token apart, nothing more.
  private static func check(_ bytes: [UInt8]) -> [UInt8] {
    var hash: UInt32 = 0x811c_9dc5
    for byte in bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return (0..<4).map { UInt8(truncatingIfNeeded: hash >> (8 * $0)) }
  }

  private static let invalid = S3Error.invalidArgument(
    "The continuation token provided is incorrect", name: "continuation-token")
}
