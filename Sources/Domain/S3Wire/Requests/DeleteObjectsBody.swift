public import Base
internal import XML

/// The body of DeleteObjects.
public struct DeleteObjectsBody: Hashable, Sendable {
  /// The most objects of one request.
  public static let maximumCount = 1000

  /// One object to delete.
  public struct Entry: Hashable, Sendable {
    /// The key as sent, not yet checked.
    public var rawKey: [UInt8]
    /// The version; nil for none.
    public var versionID: String?
    /// Delete only an object with this tag, without quotes; `*` for any that exists.
    public var etag: String?
    /// Delete only an object last modified then.
    public var lastModified: Timestamp?
    /// Delete only an object of this size.
    public var size: Int?

    /// The key; throws what is to be reported for this entry.
    public func key() throws(S3Error) -> ObjectKey {
      guard !rawKey.isEmpty else { throw S3Error(.userKeyMustBeSpecified) }
      return try ObjectKey(rawKey)
    }
  }

  /// The objects in order, 1 to 1000.
  public var entries: [Entry]
  /// Whether only failures are reported.
  public var isQuiet: Bool

  /// Reads a body; throws `MalformedXML`.
  public init(_ bytes: [UInt8]) throws(S3Error) {
    let root = try RequestDocument.parse(
      bytes, root: "Delete", limit: S3BodyRule.deleteLimit, elements: 8 * Self.maximumCount)
    entries = []
    isQuiet = false
    for child in root.children {
      switch child.name {
      case "Object":
        guard entries.count < Self.maximumCount else { throw S3Error(.malformedXML) }
        entries.append(try Self.entry(child))
      case "Quiet": isQuiet = try RequestDocument.flag(child)
      default: throw S3Error(.malformedXML)
      }
    }
    guard !entries.isEmpty else { throw S3Error(.malformedXML) }
  }

  private static func entry(_ element: XMLElement) throws(S3Error) -> Entry {
    var entry = Entry(rawKey: [])
    var hasKey = false
    for child in element.children {
      let text = child.trimmedText
      switch child.name {
      case "Key":
        guard !hasKey else { throw S3Error(.malformedXML) }
        hasKey = true
        entry.rawKey = child.textBytes
      case "VersionId": entry.versionID = text.isEmpty ? nil : text
      case "ETag": entry.etag = ETagList.unquoted(text[...])
      case "LastModifiedTime":
        guard let time = Timestamp(httpDate: text) ?? Timestamp(iso8601: text) else {
          throw S3Error(.malformedXML)
        }
        entry.lastModified = time
      case "Size":
        guard text.utf8.count <= 18, let size = Parameters.number(text) else {
          throw S3Error(.malformedXML)
        }
        entry.size = size
      // What is not understood may be a condition: it must not be passed over.
      default: throw S3Error(.malformedXML)
      }
    }
    guard hasKey else { throw S3Error(.malformedXML) }
    return entry
  }
}
