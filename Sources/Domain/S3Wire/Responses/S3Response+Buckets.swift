internal import XML

extension S3Response {
  /// `ListAllMyBucketsResult`.
  ///
  /// - Parameters:
  ///   - prefix: the prefix that was asked for.
  ///   - nextToken: the token of the next page; nil when this is the last.
  public static func listBuckets(
    _ buckets: [BucketRow], owner: S3Owner, prefix: String? = nil, nextToken: String? = nil
  ) -> [UInt8] {
    var writer = XMLWriter(capacity: 512 + buckets.count * 160)
    writer.openS3("ListAllMyBucketsResult")
    writer.owner("Owner", owner)
    writer.open("Buckets")
    for bucket in buckets {
      writer.open("Bucket")
      writer.element("Name", bucket.name)
      writer.time("CreationDate", bucket.created)
      writer.element("BucketRegion", bucket.region)
      writer.close("Bucket")
    }
    writer.close("Buckets")
    writer.element("ContinuationToken", nextToken)
    writer.element("Prefix", prefix)
    writer.close("ListAllMyBucketsResult")
    return writer.bytes
  }

  /// `LocationConstraint`: empty in `us-east-1`, as S3 has it.
  public static func bucketLocation(region: String) -> [UInt8] {
    var writer = XMLWriter()
    writer.openS3("LocationConstraint")
    if region != "us-east-1" { writer.text(region) }
    writer.close("LocationConstraint")
    return writer.bytes
  }
}
