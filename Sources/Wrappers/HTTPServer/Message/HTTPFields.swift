/// The fields of a header or trailer section (RFC 9110 §5), in the order received.
///
/// One array holds all bytes as they came; a field is two ranges of it, so that looking one up
/// makes no copy and no String. Blanks around values are not part of them (RFC 9112 §5.1).
public struct HTTPFields: RandomAccessCollection, Sendable {
  /// One field line.
  public struct Field: Sendable {
    /// The name with the letter case received.
    public let name: ArraySlice<UInt8>
    /// The value without surrounding blanks; it may hold bytes above 127.
    public let value: ArraySlice<UInt8>
  }

  /// Where a field lies in `bytes`. A head is far smaller than 4 GiB.
  struct Location: Sendable, Equatable {
    var nameStart: UInt32
    var nameEnd: UInt32
    var valueStart: UInt32
    var valueEnd: UInt32
  }

  let bytes: [UInt8]
  let locations: [Location]

  init(bytes: [UInt8] = [], locations: [Location] = []) {
    self.bytes = bytes
    self.locations = locations
  }

  /// Always 0.
  public var startIndex: Int { 0 }
  /// The number of fields.
  public var endIndex: Int { locations.count }

  /// The field at a position. Precondition: it is below `endIndex`.
  public subscript(position: Int) -> Field {
    let location = locations[position]
    return Field(
      name: bytes[Int(location.nameStart)..<Int(location.nameEnd)], value: value(location))
  }

  /// The value of the first field of this name, whatever the letter case; nil when there is none.
  public func value(of name: String) -> ArraySlice<UInt8>? {
    for location in locations where matches(location, name) { return value(location) }
    return nil
  }

  /// The values of all fields of this name in order.
  public func values(of name: String) -> [ArraySlice<UInt8>] {
    locations.filter { matches($0, name) }.map { value($0) }
  }

  /// The first value of this name as text, bytes that are not UTF-8 replaced.
  public func text(of name: String) -> String? {
    value(of: name).map { String(decoding: $0, as: UTF8.self) }
  }

  /// How many fields have this name.
  public func count(of name: String) -> Int {
    locations.count { matches($0, name) }
  }

  private func value(_ location: Location) -> ArraySlice<UInt8> {
    bytes[Int(location.valueStart)..<Int(location.valueEnd)]
  }

  private func matches(_ location: Location, _ name: String) -> Bool {
    let utf8 = name.utf8
    guard Int(location.nameEnd - location.nameStart) == utf8.count else { return false }
    var index = Int(location.nameStart)
    for character in utf8 {
      guard CharacterClass.lowercased(bytes[index]) == CharacterClass.lowercased(character) else {
        return false
      }
      index += 1
    }
    return true
  }
}
