public import Checksums
internal import XML

/// The body of CompleteMultipartUpload.
public struct CompleteMultipartUploadBody: Hashable, Sendable {
  /// The most parts of one upload.
  public static let maximumCount = 10_000

  /// One part of the object.
  public struct Part: Hashable, Sendable {
    /// 1 to 10,000.
    public var number: Int
    /// The part's tag without quotes.
    public var etag: String
    /// The part's checksum, where the client gives one.
    public var checksum: Checksum?
  }

  /// The parts by ascending number, at least one.
  public var parts: [Part]

  /// Reads a body; throws `MalformedXML`, `InvalidPartOrder`, `InvalidArgument` and
  /// `InvalidRequest`.
  public init(_ bytes: [UInt8]) throws(S3Error) {
    let root = try RequestDocument.parse(
      bytes, root: "CompleteMultipartUpload", limit: S3BodyRule.completeLimit,
      elements: 10 * Self.maximumCount)
    parts = []
    for child in root.children {
      guard child.name == "Part", parts.count < Self.maximumCount else {
        throw S3Error(.malformedXML)
      }
      let part = try Self.part(child)
      if let last = parts.last, part.number <= last.number { throw S3Error(.invalidPartOrder) }
      parts.append(part)
    }
    guard !parts.isEmpty else { throw S3Error(.malformedXML) }
  }

  private static func part(_ element: XMLElement) throws(S3Error) -> Part {
    var number: Int?
    var etag: String?
    var checksum: Checksum?
    for child in element.children {
      let text = child.trimmedText
      if child.name == "PartNumber" {
        guard number == nil, text.utf8.count <= 10, let value = Parameters.number(text) else {
          throw S3Error(.malformedXML)
        }
        number = value
      } else if child.name == "ETag" {
        guard etag == nil else { throw S3Error(.malformedXML) }
        etag = ETagList.unquoted(text[...])
      } else if child.name.hasPrefix("Checksum") {
        guard checksum == nil,
          let algorithm = ChecksumAlgorithm(name: String(child.name.dropFirst(8)))
        else { throw S3Error(.malformedXML) }
        guard let value = Checksum(algorithm: algorithm, text: text), value.type == .fullObject
        else { throw S3Error(.invalidRequest, "Value for \(child.name) is invalid.") }
        checksum = value
      }
    }
    guard let number, let etag, !etag.isEmpty else { throw S3Error(.malformedXML) }
    guard (1...maximumCount).contains(number) else {
      throw .invalidArgument(
        "PartNumber must be an integer between 1 and 10000, inclusive", name: "partNumber",
        value: "\(number)")
    }
    return Part(number: number, etag: etag, checksum: checksum)
  }
}
