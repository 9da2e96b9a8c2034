/// A byte range that a client asked for (RFC 9110 §14.1.2): one range, in bytes.
public struct HTTPRange: Hashable, Sendable {
  enum Kind: Hashable, Sendable {
    case bounded(first: Int, last: Int)
    case from(Int)
    case suffix(Int)
  }

  let kind: Kind
  private let text: String

  /// Reads a Range header; nil where the whole object is to be sent: for several ranges, for
  /// another unit and for what is no range at all.
  public init?(_ value: ArraySlice<UInt8>) {
    guard value.count <= 128, let text = String(validating: value, as: UTF8.self),
      let equals = text.firstIndex(of: "="), text[..<equals].lowercased() == "bytes"
    else { return nil }
    let range = text[text.index(after: equals)...].filter { $0 != " " && $0 != "\t" }
    let parts = range.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
    else { return nil }
    self.text = text
    switch (parts[0].isEmpty, parts[1].isEmpty) {
    case (true, true): return nil
    case (true, false): kind = .suffix(Self.number(parts[1]))
    case (false, true): kind = .from(Self.number(parts[0]))
    case (false, false):
      let (first, last) = (Self.number(parts[0]), Self.number(parts[1]))
      guard first <= last else { return nil }
      kind = .bounded(first: first, last: last)
    }
  }

  /// The bytes of an object of `size` bytes, never empty; throws `InvalidRange` when it has none of
  /// those asked for. Precondition: `size` is not negative.
  public func resolve(size: Int) throws(S3Error) -> Range<Int> {
    switch kind {
    case .bounded(let first, let last) where first < size:
      return first..<min(last, size - 1) + 1
    case .from(let first) where first < size: return first..<size
    case .suffix(let count) where count > 0 && size > 0: return max(0, size - count)..<size
    case .bounded, .from, .suffix:
      throw S3Error(
        .invalidRange,
        details: [.init("RangeRequested", text), .init("ActualObjectSize", "\(size)")])
    }
  }

  /// Reads `x-amz-copy-source-range`, where only `bytes=first-last` within the source is allowed;
  /// throws `InvalidArgument`.
  public static func copySource(_ text: String, size: Int) throws(S3Error) -> Range<Int> {
    let name = "x-amz-copy-source-range"
    guard let range = HTTPRange(Array(text.utf8)[...]),
      case .bounded(let first, let last) = range.kind
    else {
      throw .invalidArgument(
        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and "
          + "last are the zero-based offsets of the first and last bytes to copy", name: name,
        value: text)
    }
    guard last < size else {
      throw .invalidArgument(
        "Range specified is not valid for source object of size: \(size)", name: name, value: text)
    }
    return first..<last + 1
  }

  /// A decimal number; one too large for an Int is the largest Int.
  private static func number(_ digits: Substring) -> Int { Int(digits) ?? .max }
}
