extension S3OperationRule {
  /// Operations on the configuration of a bucket; those that ask for more come first.
  static let bucketConfiguration: [S3OperationRule] = [
    S3OperationRule(
      .deleteBucketAnalyticsConfiguration, .delete, .bucket, ["analytics", "id"],
      actions: ["s3:PutAnalyticsConfiguration"]),
    S3OperationRule(
      .deleteBucketIntelligentTieringConfiguration, .delete, .bucket,
      ["intelligent-tiering", "id"], actions: ["s3:PutIntelligentTieringConfiguration"]),
    S3OperationRule(
      .deleteBucketInventoryConfiguration, .delete, .bucket, ["inventory", "id"],
      actions: ["s3:PutInventoryConfiguration"]),
    S3OperationRule(
      .deleteBucketMetricsConfiguration, .delete, .bucket, ["metrics", "id"],
      actions: ["s3:PutMetricsConfiguration"]),
    S3OperationRule(
      .getBucketAnalyticsConfiguration, .get, .bucket, ["analytics", "id"],
      actions: ["s3:GetAnalyticsConfiguration"]),
    S3OperationRule(
      .getBucketIntelligentTieringConfiguration, .get, .bucket, ["intelligent-tiering", "id"],
      actions: ["s3:GetIntelligentTieringConfiguration"]),
    S3OperationRule(
      .getBucketInventoryConfiguration, .get, .bucket, ["inventory", "id"],
      actions: ["s3:GetInventoryConfiguration"]),
    S3OperationRule(
      .getBucketMetricsConfiguration, .get, .bucket, ["metrics", "id"],
      actions: ["s3:GetMetricsConfiguration"]),
    S3OperationRule(
      .putBucketAnalyticsConfiguration, .put, .bucket, ["analytics", "id"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutAnalyticsConfiguration"]),
    S3OperationRule(
      .putBucketIntelligentTieringConfiguration, .put, .bucket, ["intelligent-tiering", "id"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutIntelligentTieringConfiguration"]),
    S3OperationRule(
      .putBucketInventoryConfiguration, .put, .bucket, ["inventory", "id"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutInventoryConfiguration"]),
    S3OperationRule(
      .putBucketMetricsConfiguration, .put, .bucket, ["metrics", "id"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutMetricsConfiguration"]
    ),
    S3OperationRule(
      .createBucketMetadataConfiguration, .post, .bucket, ["metadataConfiguration"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:CreateBucketMetadataTableConfiguration"]),
    S3OperationRule(
      .createBucketMetadataTableConfiguration, .post, .bucket, ["metadataTable"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:CreateBucketMetadataTableConfiguration"]),
    S3OperationRule(.createSession, .get, .bucket, ["session"], actions: ["s3:CreateSession"]),
    S3OperationRule(.deleteBucketCors, .delete, .bucket, ["cors"], actions: ["s3:PutBucketCORS"]),
    S3OperationRule(
      .deleteBucketEncryption, .delete, .bucket, ["encryption"],
      actions: ["s3:PutEncryptionConfiguration"]),
    S3OperationRule(
      .deleteBucketLifecycle, .delete, .bucket, ["lifecycle"],
      actions: ["s3:PutLifecycleConfiguration"]),
    S3OperationRule(
      .deleteBucketMetadataConfiguration, .delete, .bucket, ["metadataConfiguration"],
      actions: ["s3:DeleteBucketMetadataTableConfiguration"]),
    S3OperationRule(
      .deleteBucketMetadataTableConfiguration, .delete, .bucket, ["metadataTable"],
      actions: ["s3:DeleteBucketMetadataTableConfiguration"]),
    S3OperationRule(
      .deleteBucketOwnershipControls, .delete, .bucket, ["ownershipControls"],
      actions: ["s3:PutBucketOwnershipControls"]),
    S3OperationRule(
      .deleteBucketPolicy, .delete, .bucket, ["policy"], actions: ["s3:DeleteBucketPolicy"]),
    S3OperationRule(
      .deleteBucketReplication, .delete, .bucket, ["replication"],
      actions: ["s3:PutReplicationConfiguration"]),
    S3OperationRule(
      .deleteBucketTagging, .delete, .bucket, ["tagging"], actions: ["s3:PutBucketTagging"]),
    S3OperationRule(
      .deleteBucketWebsite, .delete, .bucket, ["website"], actions: ["s3:DeleteBucketWebsite"]),
    S3OperationRule(
      .deletePublicAccessBlock, .delete, .bucket, ["publicAccessBlock"],
      actions: ["s3:PutBucketPublicAccessBlock"]),
    S3OperationRule(.getBucketAbac, .get, .bucket, ["abac"], actions: ["s3:GetBucketAbac"]),
    S3OperationRule(
      .getBucketAccelerateConfiguration, .get, .bucket, ["accelerate"],
      actions: ["s3:GetAccelerateConfiguration"]),
    S3OperationRule(.getBucketAcl, .get, .bucket, ["acl"], actions: ["s3:GetBucketAcl"]),
    S3OperationRule(.getBucketCors, .get, .bucket, ["cors"], actions: ["s3:GetBucketCORS"]),
    S3OperationRule(
      .getBucketEncryption, .get, .bucket, ["encryption"],
      actions: ["s3:GetEncryptionConfiguration"]),
    S3OperationRule(
      .getBucketLifecycleConfiguration, .get, .bucket, ["lifecycle"],
      actions: ["s3:GetLifecycleConfiguration"]),
    S3OperationRule(
      .getBucketLogging, .get, .bucket, ["logging"], actions: ["s3:GetBucketLogging"]),
    S3OperationRule(
      .getBucketMetadataConfiguration, .get, .bucket, ["metadataConfiguration"],
      actions: ["s3:GetBucketMetadataTableConfiguration"]),
    S3OperationRule(
      .getBucketMetadataTableConfiguration, .get, .bucket, ["metadataTable"],
      actions: ["s3:GetBucketMetadataTableConfiguration"]),
    S3OperationRule(
      .getBucketNotificationConfiguration, .get, .bucket, ["notification"],
      actions: ["s3:GetBucketNotification"]),
    S3OperationRule(
      .getBucketOwnershipControls, .get, .bucket, ["ownershipControls"],
      actions: ["s3:GetBucketOwnershipControls"]),
    S3OperationRule(.getBucketPolicy, .get, .bucket, ["policy"], actions: ["s3:GetBucketPolicy"]),
    S3OperationRule(
      .getBucketPolicyStatus, .get, .bucket, ["policyStatus"], actions: ["s3:GetBucketPolicyStatus"]
    ),
    S3OperationRule(
      .getBucketReplication, .get, .bucket, ["replication"],
      actions: ["s3:GetReplicationConfiguration"]),
    S3OperationRule(
      .getBucketRequestPayment, .get, .bucket, ["requestPayment"],
      actions: ["s3:GetBucketRequestPayment"]),
    S3OperationRule(
      .getBucketTagging, .get, .bucket, ["tagging"], actions: ["s3:GetBucketTagging"]),
    S3OperationRule(
      .getBucketVersioning, .get, .bucket, ["versioning"], actions: ["s3:GetBucketVersioning"]),
    S3OperationRule(
      .getBucketWebsite, .get, .bucket, ["website"], actions: ["s3:GetBucketWebsite"]),
    S3OperationRule(
      .getObjectLockConfiguration, .get, .bucket, ["object-lock"],
      actions: ["s3:GetBucketObjectLockConfiguration"]),
    S3OperationRule(
      .getPublicAccessBlock, .get, .bucket, ["publicAccessBlock"],
      actions: ["s3:GetBucketPublicAccessBlock"]),
    S3OperationRule(
      .listBucketAnalyticsConfigurations, .get, .bucket, ["analytics"],
      actions: ["s3:GetAnalyticsConfiguration"]),
    S3OperationRule(
      .listBucketIntelligentTieringConfigurations, .get, .bucket, ["intelligent-tiering"],
      actions: ["s3:GetIntelligentTieringConfiguration"]),
    S3OperationRule(
      .listBucketInventoryConfigurations, .get, .bucket, ["inventory"],
      actions: ["s3:GetInventoryConfiguration"]),
    S3OperationRule(
      .listBucketMetricsConfigurations, .get, .bucket, ["metrics"],
      actions: ["s3:GetMetricsConfiguration"]),
    S3OperationRule(
      .listObjectVersions, .get, .bucket, ["versions"], actions: ["s3:ListBucketVersions"]),
    S3OperationRule(
      .putBucketAbac, .put, .bucket, ["abac"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketAbac"]),
    S3OperationRule(
      .putBucketAccelerateConfiguration, .put, .bucket, ["accelerate"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutAccelerateConfiguration"]),
    S3OperationRule(
      .putBucketAcl, .put, .bucket, ["acl"], body: .optional(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutBucketAcl"]),
    S3OperationRule(
      .putBucketCors, .put, .bucket, ["cors"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketCORS"]),
    S3OperationRule(
      .putBucketEncryption, .put, .bucket, ["encryption"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutEncryptionConfiguration"]),
    S3OperationRule(
      .putBucketLifecycleConfiguration, .put, .bucket, ["lifecycle"],
      body: .optional(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutLifecycleConfiguration"]),
    S3OperationRule(
      .putBucketLogging, .put, .bucket, ["logging"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketLogging"]),
    S3OperationRule(
      .putBucketNotificationConfiguration, .put, .bucket, ["notification"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketNotification"]),
    S3OperationRule(
      .putBucketOwnershipControls, .put, .bucket, ["ownershipControls"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutBucketOwnershipControls"]),
    S3OperationRule(
      .putBucketPolicy, .put, .bucket, ["policy"], body: .required(limit: S3BodyRule.policyLimit),
      actions: ["s3:PutBucketPolicy"]),
    S3OperationRule(
      .putBucketReplication, .put, .bucket, ["replication"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutReplicationConfiguration"]),
    S3OperationRule(
      .putBucketRequestPayment, .put, .bucket, ["requestPayment"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketRequestPayment"]
    ),
    S3OperationRule(
      .putBucketTagging, .put, .bucket, ["tagging"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketTagging"]),
    S3OperationRule(
      .putBucketVersioning, .put, .bucket, ["versioning"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketVersioning"]),
    S3OperationRule(
      .putBucketWebsite, .put, .bucket, ["website"],
      body: .required(limit: S3BodyRule.configurationLimit), actions: ["s3:PutBucketWebsite"]),
    S3OperationRule(
      .putObjectLockConfiguration, .put, .bucket, ["object-lock"],
      body: .optional(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutBucketObjectLockConfiguration"]),
    S3OperationRule(
      .putPublicAccessBlock, .put, .bucket, ["publicAccessBlock"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:PutBucketPublicAccessBlock"]),
    S3OperationRule(
      .updateBucketMetadataAnnotationTableConfiguration, .put, .bucket, ["metadataAnnotationTable"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:UpdateBucketMetadataAnnotationTableConfiguration"]),
    S3OperationRule(
      .updateBucketMetadataInventoryTableConfiguration, .put, .bucket, ["metadataInventoryTable"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:UpdateBucketMetadataInventoryTableConfiguration"]),
    S3OperationRule(
      .updateBucketMetadataJournalTableConfiguration, .put, .bucket, ["metadataJournalTable"],
      body: .required(limit: S3BodyRule.configurationLimit),
      actions: ["s3:UpdateBucketMetadataJournalTableConfiguration"]),
  ]
}
