/// A request whose signature is to be checked, as it came over the wire.
public struct UnverifiedRequest: Sendable {
  /// A header field: the name in any letter case, the value without blanks around it.
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

    /// Makes a field of two strings.
    public init(_ name: String, _ value: String) {
      self.init(name: Array(name.utf8)[...], value: Array(value.utf8)[...])
    }
  }

  /// The method of the request line.
  public let method: String
  /// The path of the target, not decoded.
  public let rawPath: ArraySlice<UInt8>
  /// What follows the `?` of the target, not decoded; empty without one.
  public let rawQuery: ArraySlice<UInt8>
  /// The header fields in order, duplicates as they came.
  public let fields: [Field]
  /// The bucket that the host names, in virtual-host style: version 2 signs it before the path.
  public let hostBucket: String?

  /// Makes a request.
  public init(
    method: String, rawPath: ArraySlice<UInt8>, rawQuery: ArraySlice<UInt8>, fields: [Field],
    hostBucket: String? = nil
  ) {
    self.method = method
    self.rawPath = rawPath
    self.rawQuery = rawQuery
    self.fields = fields
    self.hostBucket = hostBucket
  }

  /// The value of the first field of this lower-case name.
  func first(_ name: String) -> ArraySlice<UInt8>? {
    fields.first { Self.matches($0.name, name.utf8) }?.value
  }

  /// How many fields have this lower-case name.
  func count(of name: String) -> Int {
    fields.count { Self.matches($0.name, name.utf8) }
  }

  /// Whether a name in any letter case is this lower-case one.
  static func matches(_ name: ArraySlice<UInt8>, _ lowercase: String.UTF8View) -> Bool {
    guard name.count == lowercase.count else { return false }
    var index = name.startIndex
    for byte in lowercase {
      if lower(name[index]) != byte { return false }
      index += 1
    }
    return true
  }

  /// Whether a name in any letter case is this lower-case one.
  static func matches(_ name: ArraySlice<UInt8>, _ lowercase: ArraySlice<UInt8>) -> Bool {
    guard name.count == lowercase.count else { return false }
    var index = name.startIndex
    for byte in lowercase {
      if lower(name[index]) != byte { return false }
      index += 1
    }
    return true
  }

  /// An ASCII letter in lower case; any other byte as it is.
  @inline(__always)
  static func lower(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  }
}
