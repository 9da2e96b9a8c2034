// Bucket and object configurations.

extension S3Error.Code {
  /// AccessControlListNotSupported, status 400.
  public static let accessControlListNotSupported = Self(
    "AccessControlListNotSupported", 400,
    "The bucket does not allow ACLs")

  /// AmbiguousGrantByEmailAddress, status 400.
  public static let ambiguousGrantByEmailAddress = Self(
    "AmbiguousGrantByEmailAddress", 400,
    "The email address you provided is associated with more than one account.")

  /// CrossLocationLoggingProhibited, status 403.
  public static let crossLocationLoggingProhibited = Self(
    "CrossLocationLoggingProhibited", 403,
    "Cross-location logging not allowed.")

  /// IllegalVersioningConfigurationException, status 400.
  public static let illegalVersioningConfigurationException = Self(
    "IllegalVersioningConfigurationException", 400,
    "The versioning configuration specified in the request is invalid.")

  /// InvalidPolicyDocument, status 400.
  public static let invalidPolicyDocument = Self(
    "InvalidPolicyDocument", 400,
    "The content of the form does not meet the conditions specified in the policy document.")

  /// InvalidTargetBucketForLogging, status 400.
  public static let invalidTargetBucketForLogging = Self(
    "InvalidTargetBucketForLogging", 400,
    "The target bucket for logging does not exist, is not owned by you, or does not have the "
      + "appropriate grants for the log-delivery group.")

  /// MalformedACLError, status 400.
  public static let malformedACLError = Self(
    "MalformedACLError", 400,
    "The XML you provided was not well-formed or did not validate against our published "
      + "schema")

  /// MalformedPolicy, status 400.
  public static let malformedPolicy = Self("MalformedPolicy", 400, "Policy has invalid resource")

  /// NoSuchBucketPolicy, status 404.
  public static let noSuchBucketPolicy = Self(
    "NoSuchBucketPolicy", 404,
    "The bucket policy does not exist")

  /// NoSuchConfiguration, status 404.
  public static let noSuchConfiguration = Self(
    "NoSuchConfiguration", 404,
    "The specified configuration does not exist.")

  /// NoSuchCORSConfiguration, status 404.
  public static let noSuchCORSConfiguration = Self(
    "NoSuchCORSConfiguration", 404,
    "The CORS configuration does not exist")

  /// NoSuchLifecycleConfiguration, status 404.
  public static let noSuchLifecycleConfiguration = Self(
    "NoSuchLifecycleConfiguration", 404,
    "The lifecycle configuration does not exist")

  /// NoSuchObjectLockConfiguration, status 404.
  public static let noSuchObjectLockConfiguration = Self(
    "NoSuchObjectLockConfiguration", 404,
    "The specified object does not have a ObjectLock configuration")

  /// NoSuchPublicAccessBlockConfiguration, status 404.
  public static let noSuchPublicAccessBlockConfiguration = Self(
    "NoSuchPublicAccessBlockConfiguration", 404,
    "The public access block configuration was not found")

  /// NoSuchTagSet, status 404.
  public static let noSuchTagSet = Self("NoSuchTagSet", 404, "The TagSet does not exist")

  /// NoSuchWebsiteConfiguration, status 404.
  public static let noSuchWebsiteConfiguration = Self(
    "NoSuchWebsiteConfiguration", 404,
    "The specified bucket does not have a website configuration")

  /// ObjectLockConfigurationNotFoundError, status 404.
  public static let objectLockConfigurationNotFoundError = Self(
    "ObjectLockConfigurationNotFoundError", 404,
    "Object Lock configuration does not exist for this bucket")

  /// OwnershipControlsNotFoundError, status 404.
  public static let ownershipControlsNotFoundError = Self(
    "OwnershipControlsNotFoundError", 404,
    "The bucket ownership controls were not found")

  /// ReplicationConfigurationNotFoundError, status 404.
  public static let replicationConfigurationNotFoundError = Self(
    "ReplicationConfigurationNotFoundError", 404,
    "The replication configuration was not found")

  /// ServerSideEncryptionConfigurationNotFoundError, status 404.
  public static let serverSideEncryptionConfigurationNotFoundError = Self(
    "ServerSideEncryptionConfigurationNotFoundError", 404,
    "The server side encryption configuration was not found")

  /// UnresolvableGrantByEmailAddress, status 400.
  public static let unresolvableGrantByEmailAddress = Self(
    "UnresolvableGrantByEmailAddress", 400,
    "The email address you provided does not match any account on record.")

  static let configurationCodes: [S3Error.Code] = [
    .accessControlListNotSupported, .ambiguousGrantByEmailAddress, .crossLocationLoggingProhibited,
    .illegalVersioningConfigurationException, .invalidPolicyDocument,
    .invalidTargetBucketForLogging, .malformedACLError, .malformedPolicy, .noSuchBucketPolicy,
    .noSuchConfiguration, .noSuchCORSConfiguration, .noSuchLifecycleConfiguration,
    .noSuchObjectLockConfiguration, .noSuchPublicAccessBlockConfiguration, .noSuchTagSet,
    .noSuchWebsiteConfiguration, .objectLockConfigurationNotFoundError,
    .ownershipControlsNotFoundError, .replicationConfigurationNotFoundError,
    .serverSideEncryptionConfigurationNotFoundError, .unresolvableGrantByEmailAddress,
  ]
}
