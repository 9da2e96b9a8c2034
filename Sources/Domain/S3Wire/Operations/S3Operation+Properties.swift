extension S3Operation {
  /// How the operation looks on the wire; nil for the preflight, which is any OPTIONS request.
  public var rule: S3OperationRule? { S3OperationRule.byOperation[self] }

  /// The IAM actions the caller needs on the target, all of them; none for the preflight.
  ///
  /// - Parameter withVersionID: whether the request names a version, which has actions of its own.
  public func actions(withVersionID: Bool = false) -> [String] {
    guard let actions = rule?.actions else { return [] }
    return withVersionID ? actions.map { Self.versionActions[$0] ?? $0 } : actions
  }

  /// The IAM action needed on the source of a copy; nil for operations without a source.
  public func sourceAction(withVersionID: Bool) -> String? {
    switch self {
    case .copyObject, .uploadPartCopy:
      withVersionID ? "s3:GetObjectVersion" : "s3:GetObject"
    case .renameObject: "s3:GetObject"
    default: nil
    }
  }

  /// The body the operation takes.
  public var body: S3BodyRule { rule?.body ?? .none }

  /// Whether the operation is offered; every other one answers `NotImplemented`.
  public var isImplemented: Bool { Self.implemented.contains(self) }

  /// The operations that are offered.
  public static let implemented: Set<S3Operation> = [
    .listBuckets, .createBucket, .headBucket, .deleteBucket, .getBucketLocation, .putObject,
    .getObject, .headObject, .deleteObject, .deleteObjects, .copyObject, .listObjects,
    .listObjectsV2, .getObjectAttributes, .createMultipartUpload, .uploadPart, .uploadPartCopy,
    .completeMultipartUpload, .abortMultipartUpload, .listParts, .listMultipartUploads,
  ]

  private static let versionActions = [
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTorrent": "s3:GetObjectVersionTorrent",
  ]
}
