public import Base
public import Checksums
internal import XML

extension S3Response {
  /// `InitiateMultipartUploadResult`.
  public static func createMultipartUpload(
    bucket: String, key: [UInt8], uploadID: String
  ) -> [UInt8] {
    var writer = XMLWriter()
    writer.openS3("InitiateMultipartUploadResult")
    writer.element("Bucket", bucket)
    writer.element("Key", bytes: key)
    writer.element("UploadId", uploadID)
    writer.close("InitiateMultipartUploadResult")
    return writer.bytes
  }

  /// `CopyPartResult`.
  public static func copyPart(
    etag: String, lastModified: Timestamp, checksum: Checksum? = nil
  ) -> [UInt8] {
    var writer = XMLWriter()
    writer.openS3("CopyPartResult")
    writer.time("LastModified", lastModified)
    writer.etag(etag)
    writer.checksum(checksum)
    writer.close("CopyPartResult")
    return writer.bytes
  }

  /// `CompleteMultipartUploadResult`.
  ///
  /// - Parameter location: the URL of the object.
  public static func completeMultipartUpload(
    location: String, bucket: String, key: [UInt8], etag: String, checksum: Checksum? = nil
  ) -> [UInt8] {
    var writer = XMLWriter()
    writer.openS3("CompleteMultipartUploadResult")
    writer.element("Location", location)
    writer.element("Bucket", bucket)
    writer.element("Key", bytes: key)
    writer.etag(etag)
    writer.checksum(checksum)
    if let checksum { writer.element("ChecksumType", checksum.type.rawValue) }
    writer.close("CompleteMultipartUploadResult")
    return writer.bytes
  }

  /// `ListPartsResult` of one upload.
  ///
  /// - Parameters:
  ///   - marker: the number behind which the page begins.
  ///   - next: the number behind which the next page begins; nil when this is the last.
  public static func listParts(
    bucket: String, upload: UploadRow, marker: Int, pageSize: Int, next: Int?, parts: [PartRow]
  ) -> [UInt8] {
    var writer = XMLWriter(capacity: 1024 + parts.count * 224)
    writer.openS3("ListPartsResult")
    writer.element("Bucket", bucket)
    writer.element("Key", bytes: upload.key)
    writer.element("UploadId", upload.uploadID)
    writer.owner("Initiator", upload.initiator)
    writer.owner("Owner", upload.owner)
    writer.element("StorageClass", upload.storageClass)
    writer.element("PartNumberMarker", marker)
    // Always there, the last part's number at the end, as S3 has it.
    writer.element("NextPartNumberMarker", next ?? parts.last?.number ?? 0)
    writer.element("MaxParts", pageSize)
    writer.element("IsTruncated", next != nil)
    writer.checksumKind(upload.checksum)
    for part in parts {
      writer.open("Part")
      writer.element("PartNumber", part.number)
      writer.time("LastModified", part.lastModified)
      writer.etag(part.etag)
      writer.element("Size", part.size)
      writer.checksum(part.checksum)
      writer.close("Part")
    }
    writer.close("ListPartsResult")
    return writer.bytes
  }

  /// A page of ListMultipartUploads.
  public struct UploadPage: Sendable {
    /// The bucket.
    public var bucket: String
    /// What was asked for.
    public var request: ListUploadsRequest
    /// The uploads, by key and then by when they began.
    public var uploads: [UploadRow]
    /// The common prefixes, their delimiter included, in order.
    public var commonPrefixes: [[UInt8]]
    /// Key and upload id behind which the next page begins; nil when this is the last. The id is
    /// empty behind a common prefix.
    public var next: (key: [UInt8], uploadID: String)?

    /// Makes a page.
    public init(
      bucket: String, request: ListUploadsRequest, uploads: [UploadRow],
      commonPrefixes: [[UInt8]], next: (key: [UInt8], uploadID: String)?
    ) {
      self.bucket = bucket
      self.request = request
      self.uploads = uploads
      self.commonPrefixes = commonPrefixes
      self.next = next
    }
  }

  /// `ListMultipartUploadsResult`.
  public static func listMultipartUploads(_ page: UploadPage) -> [UInt8] {
    var writer = XMLWriter(capacity: 1024 + page.uploads.count * 512)
    let request = page.request
    let isEncoded = request.isURLEncoded
    writer.openS3("ListMultipartUploadsResult")
    writer.element("Bucket", page.bucket)
    writer.key("KeyMarker", request.keyMarker, isURLEncoded: isEncoded)
    writer.element("UploadIdMarker", request.uploadIDMarker)
    if let next = page.next {
      writer.key("NextKeyMarker", next.key, isURLEncoded: isEncoded)
      writer.element("NextUploadIdMarker", next.uploadID)
    }
    writer.key("Prefix", request.prefix, isURLEncoded: isEncoded)
    if !request.delimiter.isEmpty {
      writer.key("Delimiter", request.delimiter, isURLEncoded: isEncoded)
    }
    if isEncoded { writer.element("EncodingType", verbatim: "url") }
    writer.element("MaxUploads", request.pageSize)
    writer.element("IsTruncated", page.next != nil)
    for upload in page.uploads { write(upload, isURLEncoded: isEncoded, to: &writer) }
    for prefix in page.commonPrefixes {
      writer.open("CommonPrefixes")
      writer.key("Prefix", prefix, isURLEncoded: isEncoded)
      writer.close("CommonPrefixes")
    }
    writer.close("ListMultipartUploadsResult")
    return writer.bytes
  }

  private static func write(
    _ upload: UploadRow, isURLEncoded: Bool, to writer: inout XMLWriter
  ) {
    writer.open("Upload")
    writer.key("Key", upload.key, isURLEncoded: isURLEncoded)
    writer.element("UploadId", upload.uploadID)
    writer.owner("Initiator", upload.initiator)
    writer.owner("Owner", upload.owner)
    writer.element("StorageClass", upload.storageClass)
    writer.time("Initiated", upload.initiated)
    writer.checksumKind(upload.checksum)
    writer.close("Upload")
  }
}
