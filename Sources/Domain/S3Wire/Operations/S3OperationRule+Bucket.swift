extension S3OperationRule {
  /// Operations on the service and on buckets; those that ask for more come first.
  static let bucket: [S3OperationRule] = [
    S3OperationRule(
      .deleteObjects, .post, .bucket, ["delete"], body: .required(limit: S3BodyRule.deleteLimit),
      actions: ["s3:DeleteObject"]),
    S3OperationRule(
      .getBucketLocation, .get, .bucket, ["location"], actions: ["s3:GetBucketLocation"]),
    S3OperationRule(
      .listMultipartUploads, .get, .bucket, ["uploads"], actions: ["s3:ListBucketMultipartUploads"]),
    S3OperationRule(.listObjectsV2, .get, .bucket, ["list-type=2"], actions: ["s3:ListBucket"]),
    S3OperationRule(
      .writeGetObjectResponse, .post, .bucket, header: "x-amz-request-route", body: .stream,
      actions: ["s3:WriteGetObjectResponse"]),
    S3OperationRule(
      .createBucket, .put, .bucket, body: .optional(limit: S3BodyRule.configurationLimit),
      actions: ["s3:CreateBucket"]),
    S3OperationRule(.deleteBucket, .delete, .bucket, actions: ["s3:DeleteBucket"]),
    S3OperationRule(.headBucket, .head, .bucket, actions: ["s3:ListBucket"]),
    S3OperationRule(.listBuckets, .get, .service, actions: ["s3:ListAllMyBuckets"]),
    S3OperationRule(.listObjects, .get, .bucket, actions: ["s3:ListBucket"]),
    S3OperationRule(.postObject, .post, .bucket, body: .stream, actions: ["s3:PutObject"]),
  ]
}
