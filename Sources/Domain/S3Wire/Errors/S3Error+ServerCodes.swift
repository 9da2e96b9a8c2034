// The server's own state.

extension S3Error.Code {
  /// InternalError, status 500.
  public static let internalError = Self(
    "InternalError", 500,
    "We encountered an internal error. Please try again.")

  /// ServiceUnavailable, status 503.
  public static let serviceUnavailable = Self(
    "ServiceUnavailable", 503,
    "Service is unable to handle request.")

  /// SlowDown, status 503.
  public static let slowDown = Self("SlowDown", 503, "Please reduce your request rate.")

  /// InsufficientStorage, status 507.
  public static let insufficientStorage = Self(
    "InsufficientStorage", 507,
    "There is not enough space left to complete the request.")

  /// QuotaExceeded, status 403.
  public static let quotaExceeded = Self(
    "QuotaExceeded", 403,
    "The quota of the bucket or of its owner is used up.")

  static let serverCodes: [S3Error.Code] = [
    .internalError, .serviceUnavailable, .slowDown, .insufficientStorage, .quotaExceeded,
  ]
}
