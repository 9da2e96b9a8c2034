/// The header fields of a request, as they came over the wire.
public struct RequestHeaders: Sendable {
  /// One field: the name in any letter case, the value without blanks around it.
  public struct Field: Sendable {
    /// The name.
    public let name: ArraySlice<UInt8>
    /// The value.
    public let value: ArraySlice<UInt8>

    /// Makes a field.
    public init(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
      self.name = name
      self.value = value
    }
  }

  /// The fields in order, duplicates as they came.
  public let fields: [Field]

  /// Makes headers of fields.
  public init(_ fields: [Field]) {
    self.fields = fields
  }

  /// Makes headers of strings.
  public init(_ pairs: KeyValuePairs<String, String>) {
    fields = pairs.map { Field(name: Array($0.key.utf8)[...], value: Array($0.value.utf8)[...]) }
  }

  /// The value of the first field of this lower-case name.
  public func first(_ name: String) -> ArraySlice<UInt8>? {
    fields.first { Self.matches($0.name, name) }?.value
  }

  /// Whether a field of this lower-case name is there.
  public func contains(_ name: String) -> Bool { first(name) != nil }

  /// The first value of this lower-case name as text; bytes that are no UTF-8 are read as Latin-1.
  public func text(_ name: String) -> String? {
    first(name).map { Self.text($0) }
  }

  /// The values of all fields of this lower-case name, joined by commas; nil when there is none.
  public func joined(_ name: String) -> String? {
    let values = fields.filter { Self.matches($0.name, name) }.map { Self.text($0.value) }
    return values.isEmpty ? nil : values.joined(separator: ",")
  }

  /// The one value of this lower-case name; throws `InvalidArgument` when there are several.
  public func single(_ name: String) throws(S3Error) -> String? {
    guard fields.count(where: { Self.matches($0.name, name) }) <= 1 else {
      throw .invalidArgument("The header \(name) must not be sent more than once.", name: name)
    }
    return text(name)
  }

  static func text(_ bytes: ArraySlice<UInt8>) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    var scalars = String.UnicodeScalarView()
    scalars.append(contentsOf: bytes.map { Unicode.Scalar($0) })
    return String(scalars)
  }

  static func matches(_ name: ArraySlice<UInt8>, _ lowercase: String) -> Bool {
    guard name.count == lowercase.utf8.count else { return false }
    return zip(name, lowercase.utf8).allSatisfy { lower($0) == $1 }
  }

  @inline(__always)
  static func lower(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  }
}
