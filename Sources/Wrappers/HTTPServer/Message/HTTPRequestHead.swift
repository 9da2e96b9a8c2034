/// A request line and its header section, as they came over the wire.
///
/// All slices refer to one copy of the head's bytes; nothing is decoded, so that a signature over
/// the raw target and values can be checked.
public struct HTTPRequestHead: Sendable {
  /// The method.
  public let method: HTTPMethod
  /// The header fields in order.
  public let fields: HTTPFields
  /// 0 for HTTP/1.0, 1 for HTTP/1.1.
  public let minorVersion: Int
  private let targetRange: Range<Int>
  private let pathRange: Range<Int>

  init(
    method: HTTPMethod, fields: HTTPFields, minorVersion: Int, targetRange: Range<Int>,
    pathRange: Range<Int>
  ) {
    self.method = method
    self.fields = fields
    self.minorVersion = minorVersion
    self.targetRange = targetRange
    self.pathRange = pathRange
  }

  /// The request target exactly as received: no byte below 0x21, no 0x7F, possibly bytes above.
  public var target: ArraySlice<UInt8> { fields.bytes[targetRange] }

  /// The path of the target, undecoded: up to the first `?`. Starts with `/`, or is `*` for
  /// OPTIONS, or is empty for an absolute-form target without one.
  public var path: ArraySlice<UInt8> { fields.bytes[pathRange] }

  /// What follows the first `?` of the target, undecoded; nil when there is none.
  public var query: ArraySlice<UInt8>? {
    guard pathRange.upperBound < targetRange.upperBound else { return nil }
    return fields.bytes[pathRange.upperBound + 1..<targetRange.upperBound]
  }

  /// Host and port the client named: the authority of an absolute-form target if there is one,
  /// else the Host field (RFC 9112 §3.2.2); empty in HTTP/1.0 without either.
  public var authority: ArraySlice<UInt8> {
    let scheme = fields.bytes[targetRange.lowerBound..<pathRange.lowerBound]
    guard let colon = scheme.firstIndex(of: UInt8(ascii: ":")) else {
      return fields.value(of: "host") ?? []
    }
    return scheme[(colon + 1)...].dropFirst(2)
  }

  /// The value of the first field of this name, whatever the letter case.
  public func value(of name: String) -> ArraySlice<UInt8>? { fields.value(of: name) }

  /// The values of all fields of this name in order.
  public func values(of name: String) -> [ArraySlice<UInt8>] { fields.values(of: name) }

  /// The first value of this name as text, bytes that are not UTF-8 replaced.
  public func text(of name: String) -> String? { fields.text(of: name) }
}
