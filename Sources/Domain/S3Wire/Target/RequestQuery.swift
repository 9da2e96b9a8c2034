/// The query of a request target: its parameters in order, raw and decoded.
///
/// Names and values are decoded once, `+` being a space as in HTML forms. A parameter that appears
/// twice is kept twice; look-ups take the first.
public struct RequestQuery: Sendable {
  /// One parameter.
  public struct Parameter: Sendable {
    /// The name as it came.
    public let rawName: ArraySlice<UInt8>
    /// The value as it came; empty without `=`.
    public let rawValue: ArraySlice<UInt8>
    /// The name, decoded.
    public let name: ArraySlice<UInt8>
    /// The value, decoded; empty without `=`.
    public let value: ArraySlice<UInt8>
  }

  /// The most parameters one request may have.
  public static let maximumCount = 128

  /// The parameters in order.
  public let parameters: [Parameter]

  /// A query without parameters.
  public init() {
    parameters = []
  }

  /// Reads what follows the `?` of a target; throws `InvalidURI` for a `%` without two digits and
  /// for more than `maximumCount` parameters. Empty parameters (`&&`) are skipped.
  public init(_ raw: ArraySlice<UInt8>) throws(S3Error) {
    var parameters: [Parameter] = []
    for piece in raw.split(separator: UInt8(ascii: "&")) {
      guard parameters.count < Self.maximumCount else { throw S3Error(.invalidURI) }
      let equals = piece.firstIndex(of: UInt8(ascii: "="))
      let rawName = piece[..<(equals ?? piece.endIndex)]
      let rawValue = equals.map { piece[($0 + 1)...] } ?? []
      parameters.append(
        Parameter(
          rawName: rawName, rawValue: rawValue, name: try Self.decode(rawName),
          value: try Self.decode(rawValue)))
    }
    self.parameters = parameters
  }

  /// Whether a parameter of this name is there, with a value or without.
  public func contains(_ name: String) -> Bool {
    parameters.contains { $0.name.elementsEqual(name.utf8) }
  }

  /// The first value of this name as bytes; empty for a parameter without `=`.
  public func bytes(_ name: String) -> ArraySlice<UInt8>? {
    parameters.first { $0.name.elementsEqual(name.utf8) }?.value
  }

  /// The first value of this name as text; throws `InvalidURI` unless it is UTF-8.
  public func text(_ name: String) throws(S3Error) -> String? {
    guard let bytes = bytes(name) else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw S3Error(.invalidURI) }
    return text
  }

  /// How many parameters have this name.
  public func count(of name: String) -> Int {
    parameters.count { $0.name.elementsEqual(name.utf8) }
  }

  /// Whether a marker, a name or `name=value`, is there.
  func matches(_ marker: [UInt8]) -> Bool {
    guard let equals = marker.firstIndex(of: UInt8(ascii: "=")) else {
      return parameters.contains { $0.name.elementsEqual(marker) }
    }
    let value = marker[(equals + 1)...]
    return parameters.contains {
      $0.name.elementsEqual(marker[..<equals]) && $0.value.elementsEqual(value)
    }
  }

  private static func decode(
    _ raw: ArraySlice<UInt8>
  ) throws(S3Error) -> ArraySlice<UInt8> {
    guard let bytes = PercentDecoding.decode(raw, plusAsSpace: true) else {
      throw S3Error(.invalidURI)
    }
    return bytes
  }
}
