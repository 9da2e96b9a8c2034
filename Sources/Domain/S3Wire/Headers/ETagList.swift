/// The entity tags of `If-Match` or `If-None-Match`, or `*`.
public enum ETagList: Hashable, Sendable {
  /// One tag, without quotes.
  public struct Tag: Hashable, Sendable {
    /// The tag.
    public let text: String
    /// Whether it was sent as a weak one, `W/"…"`.
    public let isWeak: Bool
  }

  /// Any object that exists.
  case any
  /// Objects with one of these tags.
  case tags([Tag])

  /// Reads the header; the quotes may be missing, as some clients leave them out.
  public init(_ text: String) {
    let pieces = text.split(separator: ",").map { Self.trim($0) }
    if pieces.contains("*") {
      self = .any
    } else {
      self = .tags(pieces.filter { !$0.isEmpty }.map { Self.tag($0) })
    }
  }

  /// Whether an object with this tag is meant; a weak tag counts only when `weakly`.
  public func matches(_ etag: String, weakly: Bool) -> Bool {
    switch self {
    case .any: true
    case .tags(let tags): tags.contains { $0.text == etag && (weakly || !$0.isWeak) }
    }
  }

  private static func tag(_ piece: Substring) -> Tag {
    let isWeak = piece.hasPrefix("W/")
    return Tag(text: unquoted(isWeak ? piece.dropFirst(2) : piece), isWeak: isWeak)
  }

  /// A tag without blanks and quotes around it.
  static func unquoted(_ text: Substring) -> String {
    var trimmed = trim(text).utf8
    if trimmed.count >= 2, trimmed.first == quote, trimmed.last == quote {
      trimmed = trimmed.dropFirst().dropLast()
    }
    return String(Substring(trimmed))
  }

  private static let quote = UInt8(ascii: "\"")

  private static func trim(_ text: Substring) -> Substring {
    var bytes = text.utf8
    while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
    while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
    return Substring(bytes)
  }
}
