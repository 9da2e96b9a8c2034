import Base

/// The header section of one part of a form (RFC 7578 §4).
struct FormPart: Hashable, Sendable {
  /// The longest header section of a part.
  static let maximumHeadBytes = 8192
  /// The most header fields of a part.
  static let maximumFields = 16
  /// The longest media type.
  static let maximumTypeBytes = 255

  /// The field's name.
  var name: String
  /// The file name as the client sent it; nil for a field that is no file.
  var fileName: String?
  /// The media type; nil when none was sent.
  var contentType: String?

  /// Reads the header section: lines without the empty one that ends it, each with CR LF.
  init(head: ArraySlice<UInt8>) throws(FormError) {
    var disposition: FieldValue?
    var type: String?
    var count = 0
    for (name, value) in try Self.fields(head) {
      count += 1
      guard count <= Self.maximumFields else { throw FormError("a part has too many fields") }
      switch name {
      case "content-disposition":
        guard disposition == nil else { throw FormError("a part has two Content-Dispositions") }
        disposition = try FieldValue(value)
      case "content-type":
        guard type == nil else { throw FormError("a part has two Content-Types") }
        type = try Self.mediaType(value)
      case "content-transfer-encoding":
        // Deprecated (RFC 7578 §4.7); an encoding that would have to be undone is refused.
        guard ["binary", "8bit", "7bit"].contains(FieldValue.lowercased(value)) else {
          throw FormError("the content transfer encoding of a part is not supported")
        }
      default: continue
      }
    }
    guard let disposition, disposition.kind == "form-data" else {
      throw FormError("a part has no Content-Disposition of form-data")
    }
    guard let name = disposition["name"].flatMap({ String(validating: $0, as: UTF8.self) }) else {
      throw FormError("a part has no name")
    }
    self.name = name
    contentType = type
    fileName = try Self.fileName(disposition)
  }

  /// Splits the section into fields; a name is in lower case, a value without blanks around it.
  private static func fields(
    _ head: ArraySlice<UInt8>
  ) throws(FormError) -> [(name: String, value: ArraySlice<UInt8>)] {
    var result: [(name: String, value: ArraySlice<UInt8>)] = []
    var rest = head
    while !rest.isEmpty {
      guard let end = rest.firstIndex(of: 0x0d), end + 1 < rest.endIndex, rest[end + 1] == 0x0a
      else { throw FormError("a line of a part's head does not end") }
      let line = rest[..<end]
      rest = rest[(end + 2)...]
      // A line that begins with a blank would continue the one before (obsolete folding).
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
        line[..<colon].allSatisfy(FieldValue.isToken),
        line.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 })
      else { throw FormError("a line of a part's head is malformed") }
      var value = line[(colon + 1)...]
      while let byte = value.first, byte == 0x20 || byte == 0x09 { value.removeFirst() }
      while let byte = value.last, byte == 0x20 || byte == 0x09 { value.removeLast() }
      result.append((FieldValue.lowercased(line[..<colon]), value))
    }
    return result
  }

  private static func mediaType(_ value: ArraySlice<UInt8>) throws(FormError) -> String {
    guard value.count <= maximumTypeBytes, value.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }),
      isMediaType(try FieldValue(value).kind)
    else { throw FormError("the Content-Type of a part is malformed") }
    return String(decoding: value, as: UTF8.self)
  }

  private static func isMediaType(_ text: String) -> Bool {
    let pieces = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return pieces.count == 2 && pieces.allSatisfy { !$0.isEmpty }
  }

  /// `filename*` counts more than `filename` (RFC 6266 §4.3).
  private static func fileName(_ disposition: FieldValue) throws(FormError) -> String? {
    if let extended = disposition["filename*"] { return try extendedText(extended) }
    guard let plain = disposition["filename"] else { return nil }
    guard let text = String(validating: plain, as: UTF8.self) else {
      throw FormError("a file name is not UTF-8")
    }
    return text
  }

  /// `UTF-8'language'percent-encoded` (RFC 5987 §3.2).
  private static func extendedText(_ value: [UInt8]) throws(FormError) -> String {
    let pieces = value.split(
      separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
    guard pieces.count == 3, FieldValue.lowercased(pieces[0]) == "utf-8",
      let bytes = PercentCoding.decode(pieces[2]),
      let text = String(validating: bytes, as: UTF8.self)
    else { throw FormError("filename* is not UTF-8 by the rules of RFC 5987") }
    return text
  }
}
