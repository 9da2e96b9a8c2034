// Buckets.

extension S3Error.Code {
  /// BucketAlreadyExists, status 409.
  public static let bucketAlreadyExists = Self(
    "BucketAlreadyExists", 409,
    "The requested bucket name is not available. The bucket namespace is shared by all users "
      + "of the system. Please select a different name and try again.")

  /// BucketAlreadyOwnedByYou, status 409.
  public static let bucketAlreadyOwnedByYou = Self(
    "BucketAlreadyOwnedByYou", 409,
    "Your previous request to create the named bucket succeeded and you already own it.")

  /// BucketNotEmpty, status 409.
  public static let bucketNotEmpty = Self(
    "BucketNotEmpty", 409,
    "The bucket you tried to delete is not empty")

  /// IllegalLocationConstraintException, status 400.
  public static let illegalLocationConstraintException = Self(
    "IllegalLocationConstraintException", 400,
    "The specified location constraint is incompatible for the region specific endpoint this "
      + "request was sent to.")

  /// InvalidBucketAclWithObjectOwnership, status 400.
  public static let invalidBucketAclWithObjectOwnership = Self(
    "InvalidBucketAclWithObjectOwnership", 400,
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")

  /// InvalidBucketName, status 400.
  public static let invalidBucketName = Self(
    "InvalidBucketName", 400,
    "The specified bucket is not valid.")

  /// InvalidBucketOwnerAWSAccountID, status 400.
  public static let invalidBucketOwnerAWSAccountID = Self(
    "InvalidBucketOwnerAWSAccountID", 400,
    "The value of the expected bucket owner parameter must be an AWS Account ID.")

  /// InvalidBucketState, status 409.
  public static let invalidBucketState = Self(
    "InvalidBucketState", 409,
    "The request is not valid for the current state of the bucket.")

  /// InvalidLocationConstraint, status 400.
  public static let invalidLocationConstraint = Self(
    "InvalidLocationConstraint", 400,
    "The specified location-constraint is not valid")

  /// NoSuchBucket, status 404.
  public static let noSuchBucket = Self("NoSuchBucket", 404, "The specified bucket does not exist")

  /// PermanentRedirect, status 301.
  public static let permanentRedirect = Self(
    "PermanentRedirect", 301,
    "The bucket you are attempting to access must be addressed using the specified endpoint. "
      + "Please send all future requests to this endpoint.")

  /// TemporaryRedirect, status 307.
  public static let temporaryRedirect = Self(
    "TemporaryRedirect", 307,
    "You are being redirected to the bucket while the DNS server is being updated.")

  /// TooManyBuckets, status 400.
  public static let tooManyBuckets = Self(
    "TooManyBuckets", 400,
    "You have attempted to create more buckets than allowed")

  static let bucketCodes: [S3Error.Code] = [
    .bucketAlreadyExists, .bucketAlreadyOwnedByYou, .bucketNotEmpty,
    .illegalLocationConstraintException, .invalidBucketAclWithObjectOwnership, .invalidBucketName,
    .invalidBucketOwnerAWSAccountID, .invalidBucketState, .invalidLocationConstraint, .noSuchBucket,
    .permanentRedirect,
    .temporaryRedirect, .tooManyBuckets,
  ]
}
