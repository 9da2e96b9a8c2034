/// What a document may cost before it is refused.
public struct XMLLimits: Hashable, Sendable {
  /// Bytes of the whole document.
  public var bytes: Int
  /// Elements open at once; the root alone is 1.
  public var depth: Int
  /// Elements in the whole document.
  public var elements: Int
  /// Bytes of character data directly inside one element, white space included.
  public var textBytes: Int
  /// Attributes in the whole document, namespace declarations included.
  public var attributes: Int

  /// Makes a set of limits.
  public init(
    bytes: Int, depth: Int = 16, elements: Int = 10_000, textBytes: Int = 64 * 1024,
    attributes: Int = 1000
  ) {
    self.bytes = bytes
    self.depth = depth
    self.elements = elements
    self.textBytes = textBytes
    self.attributes = attributes
  }
}

/// Why a document was refused.
public enum XMLError: Error, Hashable, Sendable {
  /// Not well-formed, or not UTF-8; where, counted from 1.
  case malformed(line: Int, column: Int)
  /// It declares an encoding other than UTF-8.
  case encoding
  /// It has a document type declaration: entities and external references are never read.
  case documentType
  /// More bytes than allowed.
  case tooLarge
  /// More elements inside one another than allowed.
  case tooDeep
  /// More elements than allowed.
  case tooManyElements
  /// More attributes than allowed.
  case tooManyAttributes
  /// More character data in one element than allowed.
  case textTooLong
  /// The parser could not get memory.
  case outOfMemory
}
