extension S3OperationRule {
  /// Operations on an object; those that ask for more come first.
  static let object: [S3OperationRule] = [
    S3OperationRule(
      .uploadPartCopy, .put, .object, ["partNumber", "uploadId"], header: "x-amz-copy-source",
      actions: ["s3:PutObject"]),
    S3OperationRule(
      .deleteObjectAnnotation, .delete, .object, ["annotation", "annotationName"],
      actions: ["s3:DeleteObjectAnnotation"]),
    S3OperationRule(
      .getObjectAnnotation, .get, .object, ["annotation", "annotationName"],
      actions: ["s3:GetObjectAnnotation"]),
    S3OperationRule(
      .putObjectAnnotation, .put, .object, ["annotation", "annotationName"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutObjectAnnotation"]),
    S3OperationRule(
      .uploadPart, .put, .object, ["partNumber", "uploadId"], body: .stream,
      actions: ["s3:PutObject"]),
    S3OperationRule(
      .abortMultipartUpload, .delete, .object, ["uploadId"], actions: ["s3:AbortMultipartUpload"]),
    S3OperationRule(
      .completeMultipartUpload, .post, .object, ["uploadId"],
      body: .required(limit: S3BodyRule.completeLimit), actions: ["s3:PutObject"]),
    S3OperationRule(.createMultipartUpload, .post, .object, ["uploads"], actions: ["s3:PutObject"]),
    S3OperationRule(
      .deleteObjectTagging, .delete, .object, ["tagging"], actions: ["s3:DeleteObjectTagging"]),
    S3OperationRule(.getObjectAcl, .get, .object, ["acl"], actions: ["s3:GetObjectAcl"]),
    S3OperationRule(
      .getObjectAttributes, .get, .object, ["attributes"],
      actions: ["s3:GetObject", "s3:GetObjectAttributes"]),
    S3OperationRule(
      .getObjectLegalHold, .get, .object, ["legal-hold"], actions: ["s3:GetObjectLegalHold"]),
    S3OperationRule(
      .getObjectRetention, .get, .object, ["retention"], actions: ["s3:GetObjectRetention"]),
    S3OperationRule(
      .getObjectTagging, .get, .object, ["tagging"], actions: ["s3:GetObjectTagging"]),
    S3OperationRule(
      .getObjectTorrent, .get, .object, ["torrent"], actions: ["s3:GetObjectTorrent"]),
    S3OperationRule(
      .listObjectAnnotations, .get, .object, ["annotation"], actions: ["s3:ListObjectAnnotations"]),
    S3OperationRule(
      .listParts, .get, .object, ["uploadId"], actions: ["s3:ListMultipartUploadParts"]),
    S3OperationRule(
      .putObjectAcl, .put, .object, ["acl"], body: .optional(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutObjectAcl"]),
    S3OperationRule(
      .putObjectLegalHold, .put, .object, ["legal-hold"],
      body: .optional(limit: S3BodyRule.configurationLimit), actions: ["s3:PutObjectLegalHold"]),
    S3OperationRule(
      .putObjectRetention, .put, .object, ["retention"],
      body: .optional(limit: S3BodyRule.configurationLimit), actions: ["s3:PutObjectRetention"]),
    S3OperationRule(
      .putObjectTagging, .put, .object, ["tagging"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutObjectTagging"]),
    S3OperationRule(
      .renameObject, .put, .object, ["renameObject"], actions: ["s3:PutObject", "s3:DeleteObject"]),
    S3OperationRule(
      .restoreObject, .post, .object, ["restore"],
      body: .optional(limit: S3BodyRule.configurationLimit), actions: ["s3:RestoreObject"]),
    S3OperationRule(
      .selectObjectContent, .post, .object, ["select"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:GetObject"]),
    S3OperationRule(
      .updateObjectEncryption, .put, .object, ["encryption"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:UpdateObjectEncryption"]),
    S3OperationRule(
      .copyObject, .put, .object, header: "x-amz-copy-source", actions: ["s3:PutObject"]),
    S3OperationRule(.deleteObject, .delete, .object, actions: ["s3:DeleteObject"]),
    S3OperationRule(.getObject, .get, .object, actions: ["s3:GetObject"]),
    S3OperationRule(.headObject, .head, .object, actions: ["s3:GetObject"]),
    S3OperationRule(.putObject, .put, .object, body: .stream, actions: ["s3:PutObject"]),
  ]
}
