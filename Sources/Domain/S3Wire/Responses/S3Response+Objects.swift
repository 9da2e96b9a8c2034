public import Base
public import Checksums
internal import XML

extension S3Response {
  /// What became of one object of DeleteObjects.
  public enum DeleteOutcome: Sendable {
    /// It is gone, or was not there.
    case deleted(
      key: [UInt8], versionID: String? = nil, isDeleteMarker: Bool = false,
      markerVersionID: String? = nil)
    /// It was not deleted.
    case failed(key: [UInt8], versionID: String? = nil, S3Error)
  }

  /// `DeleteResult`; when quiet, of failures only.
  public static func deleteObjects(_ outcomes: [DeleteOutcome], isQuiet: Bool) -> [UInt8] {
    var writer = XMLWriter(capacity: 256 + outcomes.count * 128)
    writer.openS3("DeleteResult")
    for outcome in outcomes {
      switch outcome {
      case .deleted(let key, let versionID, let isDeleteMarker, let markerVersionID):
        if isQuiet { continue }
        writer.open("Deleted")
        writer.element("Key", bytes: key)
        writer.element("VersionId", versionID)
        if isDeleteMarker {
          writer.element("DeleteMarker", true)
          writer.element("DeleteMarkerVersionId", markerVersionID)
        }
        writer.close("Deleted")
      case .failed(let key, let versionID, let error):
        writer.open("Error")
        writer.element("Key", bytes: key)
        writer.element("VersionId", versionID)
        writer.element("Code", error.code.name)
        writer.element("Message", error.message)
        writer.close("Error")
      }
    }
    writer.close("DeleteResult")
    return writer.bytes
  }

  /// `CopyObjectResult`.
  public static func copyObject(
    etag: String, lastModified: Timestamp, checksum: Checksum? = nil
  ) -> [UInt8] {
    var writer = XMLWriter()
    writer.openS3("CopyObjectResult")
    writer.time("LastModified", lastModified)
    writer.etag(etag)
    writer.checksum(checksum)
    if let checksum { writer.element("ChecksumType", checksum.type.rawValue) }
    writer.close("CopyObjectResult")
    return writer.bytes
  }

  /// What GetObjectAttributes tells; nil leaves an element out.
  public struct Attributes: Sendable {
    /// The tag without quotes.
    public var etag: String?
    /// The object's checksum.
    public var checksum: Checksum?
    /// The parts of a multipart object.
    public var parts: PartPage?
    /// The storage class.
    public var storageClass: String?
    /// Bytes.
    public var size: Int?

    /// Makes attributes; all are left out at first.
    public init() {}
  }

  /// A page of the parts of an object.
  public struct PartPage: Sendable {
    /// How many parts the object has.
    public var total: Int
    /// The number behind which the page begins.
    public var marker: Int
    /// Rows at most.
    public var pageSize: Int
    /// The number behind which the next page begins; nil when this is the last.
    public var next: Int?
    /// The parts by number.
    public var parts: [PartRow]

    /// Makes a page.
    public init(total: Int, marker: Int, pageSize: Int, next: Int?, parts: [PartRow]) {
      self.total = total
      self.marker = marker
      self.pageSize = pageSize
      self.next = next
      self.parts = parts
    }
  }

  /// `GetObjectAttributesResponse`.
  public static func objectAttributes(_ attributes: Attributes) -> [UInt8] {
    var writer = XMLWriter()
    writer.openS3("GetObjectAttributesResponse")
    writer.element("ETag", attributes.etag)
    if let checksum = attributes.checksum {
      writer.open("Checksum")
      writer.checksum(checksum)
      writer.element("ChecksumType", checksum.type.rawValue)
      writer.close("Checksum")
    }
    if let page = attributes.parts {
      writer.open("ObjectParts")
      writer.element("PartsCount", page.total)
      writer.element("PartNumberMarker", page.marker)
      if let next = page.next { writer.element("NextPartNumberMarker", next) }
      writer.element("MaxParts", page.pageSize)
      writer.element("IsTruncated", page.next != nil)
      for part in page.parts {
        writer.open("Part")
        writer.element("PartNumber", part.number)
        writer.element("Size", part.size)
        writer.checksum(part.checksum)
        writer.close("Part")
      }
      writer.close("ObjectParts")
    }
    writer.element("StorageClass", attributes.storageClass)
    if let size = attributes.size { writer.element("ObjectSize", size) }
    writer.close("GetObjectAttributesResponse")
    return writer.bytes
  }
}
