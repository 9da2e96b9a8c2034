internal import Base

/// Where a Redis server is and as whom to speak to it: `redis://[user[:password]@]host[:port][/db]`.
public struct RedisAddress: Sendable {
  /// The host name or address.
  public var host: String
  /// The port.
  public var port: UInt16
  /// The user of access control lists; nil for the default one.
  public var user: String?
  /// The password; nil for none. Never shown.
  public var password: String?
  /// The number of the database.
  public var database: Int

  /// Reads a URL. Throws `RedisError.address`, without the text itself: it may hold a password.
  public init(_ text: String) throws(RedisError) {
    let scheme = "redis://"
    guard text.hasPrefix(scheme), text.utf8.count <= 2048 else {
      throw .address("it begins with redis://; TLS is not spoken")
    }
    var rest = text.dropFirst(scheme.count)
    user = nil
    password = nil
    if let at = rest.lastIndex(of: "@") {
      let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let name = try Self.decoded(parts[0])
      user = name.isEmpty ? nil : name
      if parts.count == 2 { password = try Self.decoded(parts[1]) }
      rest = rest[rest.index(after: at)...]
    }
    database = 0
    if let slash = rest.firstIndex(of: "/") {
      let path = rest[rest.index(after: slash)...]
      if !path.isEmpty {
        guard let number = Int(path), (0...65_535).contains(number) else {
          throw .address("the database behind / is a number")
        }
        database = number
      }
      rest = rest[..<slash]
    }
    port = 6379
    if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]") {
      guard let number = UInt16(rest[rest.index(after: colon)...]), number > 0 else {
        throw .address("the port is a number from 1 to 65535")
      }
      port = number
      rest = rest[..<colon]
    }
    host = String(rest.filter { $0 != "[" && $0 != "]" })
    guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .address("the host is missing")
    }
  }

  private static func decoded(_ text: Substring) throws(RedisError) -> String {
    guard let bytes = PercentCoding.decode(Array(text.utf8)),
      let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0)
    else { throw .address("user and password are percent-encoded text") }
    return decoded
  }
}
