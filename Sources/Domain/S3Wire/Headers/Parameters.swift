/// The numbers and flags in the queries of S3 requests.
public enum Parameters {
  /// The most rows of one page of any list, and how many come when none is asked for.
  public static let maximumPage = 1000

  /// The most buckets of one page.
  public static let maximumBuckets = 10_000

  /// `max-buckets`: 1 to 10,000; nil when it is not there. Throws `InvalidArgument`.
  public static func bucketCount(_ query: RequestQuery) throws(S3Error) -> Int? {
    let name = "max-buckets"
    guard let text = try query.text(name) else { return nil }
    guard text.utf8.count <= 5, let value = number(text), (1...maximumBuckets).contains(value)
    else {
      throw .invalidArgument(
        "Argument \(name) must be an integer between 1 and \(maximumBuckets)", name: name,
        value: text)
    }
    return value
  }

  /// `max-keys`, `max-parts`, `max-uploads`: 0 to 1000, larger ones taken as 1000.
  ///
  /// Throws `InvalidArgument` for what is no number from 0 to 2,147,483,647.
  public static func pageSize(
    _ query: RequestQuery, _ name: String, default size: Int = maximumPage
  ) throws(S3Error) -> Int {
    guard let text = try query.text(name), !text.isEmpty else { return size }
    guard text.utf8.count <= 10, let value = number(text), value <= Int(Int32.max) else {
      throw .invalidArgument(
        "Provided \(name) not an integer or within integer range", name: name, value: text)
    }
    return min(value, maximumPage)
  }

  /// `partNumber`: 1 to 10,000; nil when it is not there.
  public static func partNumber(_ query: RequestQuery) throws(S3Error) -> Int? {
    guard let text = try query.text("partNumber") else { return nil }
    guard text.utf8.count <= 5, let value = number(text), (1...10_000).contains(value) else {
      throw .invalidArgument(
        "Part number must be an integer between 1 and 10000, inclusive", name: "partNumber",
        value: text)
    }
    return value
  }

  /// `part-number-marker`: 0 and more; 0 when it is not there.
  public static func partNumberMarker(_ text: String?) throws(S3Error) -> Int {
    guard let text, !text.isEmpty else { return 0 }
    guard text.utf8.count <= 10, let value = number(text), value <= Int(Int32.max) else {
      throw .invalidArgument(
        "Provided part-number-marker not an integer or within integer range",
        name: "part-number-marker", value: text)
    }
    return value
  }

  /// Whether `encoding-type=url` asks for encoded keys; `InvalidArgument` for another type.
  public static func isURLEncoded(_ query: RequestQuery) throws(S3Error) -> Bool {
    guard let text = try query.text("encoding-type"), !text.isEmpty else { return false }
    guard text == "url" else {
      throw .invalidArgument(
        "Invalid Encoding Method specified in Request", name: "encoding-type", value: text)
    }
    return true
  }

  /// A key, prefix, marker or delimiter of a list: at most 1024 bytes of UTF-8; empty when it is not
  /// there.
  public static func keyBytes(
    _ query: RequestQuery, _ name: String
  ) throws(S3Error) -> [UInt8] {
    guard let bytes = query.bytes(name) else { return [] }
    guard bytes.count <= ObjectKey.maximumBytes else {
      throw S3Error(
        .keyTooLongError,
        details: [
          .init("Size", "\(bytes.count)"), .init("MaxSizeAllowed", "\(ObjectKey.maximumBytes)"),
        ])
    }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw .invalidArgument("The parameter \(name) is not valid UTF-8.", name: name)
    }
    return Array(bytes)
  }

  /// Digits only, no sign; nil for anything else.
  static func number(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}
