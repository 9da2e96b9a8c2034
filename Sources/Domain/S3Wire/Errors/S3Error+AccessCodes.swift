// Who asks, and whether they may.

extension S3Error.Code {
  /// AccessDenied, status 403.
  public static let accessDenied = Self("AccessDenied", 403, "Access Denied")

  /// AccountProblem, status 403.
  public static let accountProblem = Self(
    "AccountProblem", 403,
    "There is a problem with your account that prevents the operation from completing "
      + "successfully.")

  /// AllAccessDisabled, status 403.
  public static let allAccessDisabled = Self(
    "AllAccessDisabled", 403,
    "All access to this resource has been disabled.")

  /// AuthorizationHeaderMalformed, status 400.
  public static let authorizationHeaderMalformed = Self(
    "AuthorizationHeaderMalformed", 400,
    "The authorization header that you provided is not valid.")

  /// AuthorizationQueryParametersError, status 400.
  public static let authorizationQueryParametersError = Self(
    "AuthorizationQueryParametersError", 400,
    "The authorization query parameters that you provided are not valid.")

  /// CredentialsNotSupported, status 400.
  public static let credentialsNotSupported = Self(
    "CredentialsNotSupported", 400,
    "This request does not support credentials.")

  /// ExpiredToken, status 400.
  public static let expiredToken = Self("ExpiredToken", 400, "The provided token has expired.")

  /// InvalidAccessKeyId, status 403.
  public static let invalidAccessKeyId = Self(
    "InvalidAccessKeyId", 403,
    "The AWS Access Key Id you provided does not exist in our records.")

  /// InvalidSecurity, status 403.
  public static let invalidSecurity = Self(
    "InvalidSecurity", 403,
    "The provided security credentials are not valid.")

  /// InvalidToken, status 400.
  public static let invalidToken = Self(
    "InvalidToken", 400,
    "The provided token is malformed or otherwise not valid.")

  /// MissingAuthenticationToken, status 403.
  public static let missingAuthenticationToken = Self(
    "MissingAuthenticationToken", 403,
    "The request was not signed.")

  /// MissingSecurityElement, status 400.
  public static let missingSecurityElement = Self(
    "MissingSecurityElement", 400,
    "The request is missing a security element.")

  /// MissingSecurityHeader, status 400.
  public static let missingSecurityHeader = Self(
    "MissingSecurityHeader", 400,
    "Your request is missing a required header.")

  /// NotSignedUp, status 403.
  public static let notSignedUp = Self(
    "NotSignedUp", 403,
    "Your account is not signed up for the service.")

  /// RequestExpired, status 400.
  public static let requestExpired = Self("RequestExpired", 400, "Request has expired.")

  /// RequestTimeTooSkewed, status 403.
  public static let requestTimeTooSkewed = Self(
    "RequestTimeTooSkewed", 403,
    "The difference between the request time and the current time is too large.")

  /// SignatureDoesNotMatch, status 403.
  public static let signatureDoesNotMatch = Self(
    "SignatureDoesNotMatch", 403,
    "The request signature we calculated does not match the signature you provided. Check "
      + "your key and signing method.")

  /// TokenRefreshRequired, status 400.
  public static let tokenRefreshRequired = Self(
    "TokenRefreshRequired", 400,
    "The provided token must be refreshed.")

  /// XAmzContentSHA256Mismatch, status 400.
  public static let xAmzContentSHA256Mismatch = Self(
    "XAmzContentSHA256Mismatch", 400,
    "The provided 'x-amz-content-sha256' header does not match what was computed.")

  static let accessCodes: [S3Error.Code] = [
    .accessDenied, .accountProblem, .allAccessDisabled, .authorizationHeaderMalformed,
    .authorizationQueryParametersError, .credentialsNotSupported, .expiredToken,
    .invalidAccessKeyId, .invalidSecurity, .invalidToken, .missingAuthenticationToken,
    .missingSecurityElement, .missingSecurityHeader, .notSignedUp, .requestExpired,
    .requestTimeTooSkewed, .signatureDoesNotMatch, .tokenRefreshRequired,
    .xAmzContentSHA256Mismatch,
  ]
}
