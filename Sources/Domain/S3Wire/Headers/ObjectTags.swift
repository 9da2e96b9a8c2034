internal import Base

/// The tags of `x-amz-tagging`: a query string of at most ten names and values.
public enum ObjectTags {
  /// The most tags of an object.
  public static let maximumCount = 10
  /// The most characters of a tag's name.
  public static let maximumNameLength = 128
  /// The most characters of a tag's value.
  public static let maximumValueLength = 256

  /// Reads the header; throws `InvalidTag`, or `BadRequest` for too many.
  public static func parse(_ text: String) throws(S3Error) -> [NamedValue] {
    guard text.utf8.count <= 8192 else { throw S3Error(.invalidTag) }
    var tags: [NamedValue] = []
    for piece in text.split(separator: "&") {
      let parts = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = try decode(parts[0])
      let value = try parts.count > 1 ? decode(parts[1]) : ""
      try check(name: name, value: value)
      guard !tags.contains(where: { $0.name == name }) else {
        throw S3Error(.invalidTag, "Cannot provide multiple Tags with the same key")
      }
      tags.append(NamedValue(name: name, value: value))
      guard tags.count <= maximumCount else {
        throw S3Error(.badRequest, "Object tags cannot be greater than 10")
      }
    }
    return tags
  }

  /// Checks one tag; throws `InvalidTag`.
  public static func check(name: String, value: String) throws(S3Error) {
    guard (1...maximumNameLength).contains(name.unicodeScalars.count) else {
      throw S3Error(.invalidTag, "The TagKey you have provided is invalid")
    }
    guard value.unicodeScalars.count <= maximumValueLength, isClean(name), isClean(value) else {
      throw S3Error(.invalidTag, "The TagValue you have provided is invalid")
    }
  }

  private static func isClean(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
  }

  private static func decode(_ text: Substring) throws(S3Error) -> String {
    guard let bytes = PercentCoding.decode(text.utf8, plusAsSpace: true),
      let decoded = String(validating: bytes, as: UTF8.self)
    else { throw S3Error(.invalidTag) }
    return decoded
  }
}
