import CPlatform

/// An IPv4 or IPv6 address and port. An IPv4 client of an IPv6 listener counts as IPv4.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// Four or sixteen bytes in network order.
  public let bytes: [UInt8]
  /// The port.
  public let port: UInt16

  init(_ address: platform_address) {
    let all = address.bytes
    if address.is_ipv6 == 0 {
      bytes = [all.0, all.1, all.2, all.3]
    } else {
      bytes = [
        all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7, all.8, all.9, all.10, all.11,
        all.12, all.13, all.14, all.15,
      ]
    }
    port = address.port
  }

  /// Whether this is an IPv6 address.
  public var isIPv6: Bool { bytes.count == 16 }

  /// The address without port or brackets, such as `192.0.2.1` or `2001:db8::1` (RFC 5952).
  public var host: String {
    guard isIPv6 else { return bytes.map { String($0) }.joined(separator: ".") }
    let groups = (0..<8).map { Int(bytes[$0 * 2]) << 8 | Int(bytes[$0 * 2 + 1]) }
    let zeros = Self.longestZeroRun(groups)
    let text = { (range: Range<Int>) in
      groups[range].map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard zeros.count > 1 else { return text(0..<8) }
    return text(0..<zeros.lowerBound) + "::" + text(zeros.upperBound..<8)
  }

  /// Host and port, an IPv6 host in brackets.
  public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  private static func longestZeroRun(_ groups: [Int]) -> Range<Int> {
    var best = 0..<0
    var start = 0
    for index in 0...groups.count where index == groups.count || groups[index] != 0 {
      if index - start > best.count { best = start..<index }
      start = index + 1
    }
    return best
  }
}
