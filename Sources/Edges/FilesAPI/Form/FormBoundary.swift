/// The boundary of a form and a fast search for it.
struct FormBoundary: Sendable {
  /// The longest boundary (RFC 2046 §5.1.1).
  static let maximumBytes = 70

  /// `--boundary`: what the first part begins with.
  let opening: [UInt8]
  /// CR LF and `opening`: what ends a part's content.
  let delimiter: [UInt8]
  /// How far the search may go on when a byte stands under the delimiter's last one.
  private let steps: [UInt8]

  /// Takes a boundary; nil unless it has 1 to 70 of the characters of RFC 2046 and no blank last.
  init?(_ boundary: [UInt8]) {
    guard (1...Self.maximumBytes).contains(boundary.count), boundary.last != 0x20,
      boundary.allSatisfy(Self.isAllowed)
    else { return nil }
    opening = [0x2d, 0x2d] + boundary
    delimiter = [0x0d, 0x0a] + opening
    var steps = [UInt8](repeating: UInt8(delimiter.count), count: 256)
    for (index, byte) in delimiter.dropLast().enumerated() {
      steps[Int(byte)] = UInt8(delimiter.count - 1 - index)
    }
    self.steps = steps
  }

  /// Reads the boundary of `multipart/form-data; boundary=…`. Throws for any other media type.
  init(contentType: ArraySlice<UInt8>) throws(FormError) {
    guard contentType.count <= 512, case let value = try FieldValue(contentType),
      value.kind == "multipart/form-data"
    else { throw FormError("the body must be multipart/form-data") }
    guard let bytes = value["boundary"], let boundary = FormBoundary(bytes) else {
      throw FormError("the boundary of the form is missing or malformed")
    }
    self = boundary
  }

  /// Where the delimiter begins, nil when it is not wholly in `bytes` (Horspool's search).
  func firstDelimiter(in bytes: Span<UInt8>) -> Int? {
    let last = delimiter.count - 1
    var position = 0
    while position <= bytes.count - delimiter.count {
      let byte = bytes[position + last]
      if byte == delimiter[last], matches(bytes, at: position) { return position }
      position += Int(steps[Int(byte)])
    }
    return nil
  }

  private func matches(_ bytes: Span<UInt8>, at position: Int) -> Bool {
    for index in delimiter.indices where bytes[position + index] != delimiter[index] {
      return false
    }
    return true
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x20: true
    case UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "+"),
      UInt8(ascii: "_"), UInt8(ascii: ","), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "?"):
      true
    default: false
    }
  }
}
