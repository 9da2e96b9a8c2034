internal import XML

extension S3Response {
  /// A page of ListObjects or ListObjectsV2.
  public struct ObjectPage: Sendable {
    /// The bucket.
    public var bucket: String
    /// What was asked for.
    public var request: ListObjectsRequest
    /// The objects, in the order of their keys.
    public var objects: [ObjectRow]
    /// The common prefixes, their delimiter included, in order.
    public var commonPrefixes: [[UInt8]]
    /// The key or common prefix behind which the next page begins; nil when this is the last.
    public var next: [UInt8]?

    /// Makes a page.
    public init(
      bucket: String, request: ListObjectsRequest, objects: [ObjectRow],
      commonPrefixes: [[UInt8]], next: [UInt8]?
    ) {
      self.bucket = bucket
      self.request = request
      self.objects = objects
      self.commonPrefixes = commonPrefixes
      self.next = next
    }
  }

  /// `ListBucketResult` of either version.
  public static func listObjects(_ page: ObjectPage) -> [UInt8] {
    var writer = XMLWriter(
      capacity: 1024 + page.objects.count * 288 + page.commonPrefixes.count * 96)
    writer.openS3("ListBucketResult")
    writer.element("Name", page.bucket)
    let isEncoded = page.request.isURLEncoded
    writer.key("Prefix", page.request.prefix, isURLEncoded: isEncoded)
    if page.request.isVersion2 {
      writeVersion2(page, to: &writer)
    } else {
      writer.key("Marker", page.request.marker, isURLEncoded: isEncoded)
      // Without a delimiter clients go on from the last key.
      if let next = page.next, !page.request.delimiter.isEmpty {
        writer.key("NextMarker", next, isURLEncoded: isEncoded)
      }
    }
    writer.element("MaxKeys", page.request.pageSize)
    if !page.request.delimiter.isEmpty {
      writer.key("Delimiter", page.request.delimiter, isURLEncoded: isEncoded)
    }
    if isEncoded { writer.element("EncodingType", verbatim: "url") }
    writer.element("IsTruncated", page.next != nil)
    for object in page.objects { write(object, isURLEncoded: isEncoded, to: &writer) }
    for prefix in page.commonPrefixes {
      writer.open("CommonPrefixes")
      writer.key("Prefix", prefix, isURLEncoded: isEncoded)
      writer.close("CommonPrefixes")
    }
    writer.close("ListBucketResult")
    return writer.bytes
  }

  private static func writeVersion2(_ page: ObjectPage, to writer: inout XMLWriter) {
    if let token = page.request.continuation {
      writer.element("ContinuationToken", token.text)
    }
    if let next = page.next {
      writer.element(
        "NextContinuationToken",
        ContinuationToken(after: Array(next.prefix(ObjectKey.maximumBytes))).text)
    }
    if !page.request.startAfter.isEmpty {
      writer.key(
        "StartAfter", page.request.startAfter, isURLEncoded: page.request.isURLEncoded)
    }
    writer.element("KeyCount", page.objects.count + page.commonPrefixes.count)
  }

  private static func write(
    _ object: ObjectRow, isURLEncoded: Bool, to writer: inout XMLWriter
  ) {
    writer.open("Contents")
    writer.key("Key", object.key, isURLEncoded: isURLEncoded)
    writer.time("LastModified", object.lastModified)
    writer.etag(object.etag)
    writer.checksumKind(object.checksum)
    writer.element("Size", object.size)
    writer.element("StorageClass", object.storageClass)
    if let owner = object.owner { writer.owner("Owner", owner) }
    writer.close("Contents")
  }
}
