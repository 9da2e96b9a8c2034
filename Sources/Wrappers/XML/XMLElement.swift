/// An element of a document that was read: its name, its text and the elements inside it.
///
/// Namespaces and attributes are not kept; a name is its local part.
public struct XMLElement: Hashable, Sendable {
  /// The local name.
  public let name: String
  /// The character data directly inside, in order and joined; valid UTF-8.
  public let textBytes: [UInt8]
  /// The elements directly inside, in order.
  public let children: [XMLElement]

  /// Makes an element.
  ///
  /// Precondition: `textBytes` is valid UTF-8.
  public init(name: String, textBytes: [UInt8] = [], children: [XMLElement] = []) {
    self.name = name
    self.textBytes = textBytes
    self.children = children
  }

  /// The character data as a string.
  public var text: String { String(decoding: textBytes, as: UTF8.self) }

  /// The character data without white space at both ends.
  public var trimmedText: String {
    var bytes = textBytes[...]
    while let first = bytes.first, Self.isSpace(first) { bytes.removeFirst() }
    while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The first element of this name directly inside.
  public func first(_ name: String) -> XMLElement? {
    children.first { $0.name == name }
  }

  /// All elements of this name directly inside, in order.
  public func all(_ name: String) -> [XMLElement] {
    children.filter { $0.name == name }
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
  }
}
