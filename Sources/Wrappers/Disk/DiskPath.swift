/// Where a file or directory is, and what it is for.
///
/// Messages name the purpose, never the place.
public struct DiskPath: Hashable, Sendable {
  /// What a file or directory is for, in words that an operator may read.
  public struct Kind: Hashable, Sendable, ExpressibleByStringLiteral {
    /// The words, like "volume".
    public let name: String

    /// Takes the words.
    public init(stringLiteral name: String) {
      self.name = name
    }
  }

  /// The path as the operating system takes it.
  public let text: String
  /// What is there.
  public let kind: Kind

  /// Names a place. Slashes at the end are dropped.
  public init(_ text: String, kind: Kind) {
    var text = text[...]
    while text.utf8.count > 1, text.utf8.last == 0x2f { text.removeLast() }
    self.text = String(text)
    self.kind = kind
  }

  /// The place of an entry of this directory.
  ///
  /// Precondition: `name` is one path component.
  public func appending(_ name: String, kind: Kind) -> DiskPath {
    precondition(!name.isEmpty && !name.utf8.contains(0x2f), "a name is one component")
    return DiskPath(text == "/" ? "/" + name : text + "/" + name, kind: kind)
  }
}
