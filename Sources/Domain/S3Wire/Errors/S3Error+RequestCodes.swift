// The request itself.

extension S3Error.Code {
  /// BadDigest, status 400.
  public static let badDigest = Self(
    "BadDigest", 400,
    "The Content-MD5 or checksum value that you specified did not match what the server "
      + "received.")

  /// BadRequest, status 400.
  public static let badRequest = Self("BadRequest", 400, "Bad Request")

  /// EntityTooLarge, status 400.
  public static let entityTooLarge = Self(
    "EntityTooLarge", 400,
    "Your proposed upload exceeds the maximum allowed object size.")

  /// EntityTooSmall, status 400.
  public static let entityTooSmall = Self(
    "EntityTooSmall", 400,
    "Your proposed upload is smaller than the minimum allowed object size.")

  /// IncompleteBody, status 400.
  public static let incompleteBody = Self(
    "IncompleteBody", 400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header.")

  /// IncompleteSignature, status 400.
  public static let incompleteSignature = Self(
    "IncompleteSignature", 400,
    "The request signature does not conform to AWS standards.")

  /// IncorrectNumberOfFilesInPostRequest, status 400.
  public static let incorrectNumberOfFilesInPostRequest = Self(
    "IncorrectNumberOfFilesInPostRequest", 400,
    "POST requires exactly one file upload per request.")

  /// InlineDataTooLarge, status 400.
  public static let inlineDataTooLarge = Self(
    "InlineDataTooLarge", 400,
    "Inline data exceeds the maximum allowed size.")

  /// InvalidArgument, status 400.
  public static let invalidArgument = Self("InvalidArgument", 400, "Invalid Argument")

  /// InvalidChunkSizeError, status 403.
  public static let invalidChunkSizeError = Self(
    "InvalidChunkSizeError", 403,
    "Only the last chunk is allowed to have a size less than 8192 bytes")

  /// InvalidDigest, status 400.
  public static let invalidDigest = Self(
    "InvalidDigest", 400,
    "The Content-MD5 or checksum value that you specified is not valid.")

  /// InvalidEncryptionAlgorithmError, status 400.
  public static let invalidEncryptionAlgorithmError = Self(
    "InvalidEncryptionAlgorithmError", 400,
    "The encryption request that you specified is not valid. The valid value is AES256.")

  /// InvalidHostHeader, status 400.
  public static let invalidHostHeader = Self(
    "InvalidHostHeader", 400,
    "The host headers provided in the request used the incorrect style addressing.")

  /// InvalidRange, status 416.
  public static let invalidRange = Self(
    "InvalidRange", 416,
    "The requested range is not satisfiable")

  /// InvalidRequest, status 400.
  public static let invalidRequest = Self("InvalidRequest", 400, "Invalid Request")

  /// InvalidStorageClass, status 400.
  public static let invalidStorageClass = Self(
    "InvalidStorageClass", 400,
    "The storage class you specified is not valid")

  /// InvalidTag, status 400.
  public static let invalidTag = Self("InvalidTag", 400, "The tag provided was not a valid tag.")

  /// InvalidURI, status 400.
  public static let invalidURI = Self("InvalidURI", 400, "Couldn't parse the specified URI.")

  /// KeyTooLongError, status 400.
  public static let keyTooLongError = Self("KeyTooLongError", 400, "Your key is too long")

  /// MalformedPOSTRequest, status 400.
  public static let malformedPOSTRequest = Self(
    "MalformedPOSTRequest", 400,
    "The body of your POST request is not well-formed multipart/form-data.")

  /// MalformedTrailerError, status 400.
  public static let malformedTrailerError = Self(
    "MalformedTrailerError", 400,
    "The request contained trailing data that was not well-formed or did not conform to our "
      + "published schema.")

  /// MalformedXML, status 400.
  public static let malformedXML = Self(
    "MalformedXML", 400,
    "The XML you provided was not well-formed or did not validate against our published "
      + "schema")

  /// MaxMessageLengthExceeded, status 400.
  public static let maxMessageLengthExceeded = Self(
    "MaxMessageLengthExceeded", 400,
    "Your request was too big.")

  /// MaxPostPreDataLengthExceededError, status 400.
  public static let maxPostPreDataLengthExceededError = Self(
    "MaxPostPreDataLengthExceededError", 400,
    "Your POST request fields preceding the upload file were too large.")

  /// MetadataTooLarge, status 400.
  public static let metadataTooLarge = Self(
    "MetadataTooLarge", 400,
    "Your metadata headers exceed the maximum allowed metadata size")

  /// MethodNotAllowed, status 405.
  public static let methodNotAllowed = Self(
    "MethodNotAllowed", 405,
    "The specified method is not allowed against this resource.")

  /// MissingAttachment, status 400.
  public static let missingAttachment = Self(
    "MissingAttachment", 400,
    "A SOAP attachment was expected, but none was found.")

  /// MissingContentLength, status 411.
  public static let missingContentLength = Self(
    "MissingContentLength", 411,
    "You must provide the Content-Length HTTP header.")

  /// MissingRequestBodyError, status 400.
  public static let missingRequestBodyError = Self(
    "MissingRequestBodyError", 400,
    "Request Body is empty")

  /// NotImplemented, status 501.
  public static let notImplemented = Self(
    "NotImplemented", 501,
    "A header you provided implies functionality that is not implemented")

  /// RequestHeaderSectionTooLarge, status 400.
  public static let requestHeaderSectionTooLarge = Self(
    "RequestHeaderSectionTooLarge", 400,
    "Your request header section exceeds the maximum allowed size.")

  /// RequestIsNotMultiPartContent, status 412.
  public static let requestIsNotMultiPartContent = Self(
    "RequestIsNotMultiPartContent", 412,
    "Bucket POST must be of the enclosure-type multipart/form-data.")

  /// RequestTimeout, status 400.
  public static let requestTimeout = Self(
    "RequestTimeout", 400,
    "Your socket connection to the server was not read from or written to within the timeout "
      + "period. Idle connections will be closed.")

  /// UnexpectedContent, status 400.
  public static let unexpectedContent = Self(
    "UnexpectedContent", 400,
    "This request does not support content.")

  /// UserKeyMustBeSpecified, status 400.
  public static let userKeyMustBeSpecified = Self(
    "UserKeyMustBeSpecified", 400,
    "The bucket POST must contain the specified field name. If it is specified, check the "
      + "order of the fields.")

  static let requestCodes: [S3Error.Code] = [
    .badDigest, .badRequest, .entityTooLarge, .entityTooSmall, .incompleteBody,
    .incompleteSignature, .incorrectNumberOfFilesInPostRequest, .inlineDataTooLarge,
    .invalidArgument, .invalidChunkSizeError, .invalidDigest, .invalidEncryptionAlgorithmError,
    .invalidHostHeader, .invalidRange, .invalidRequest, .invalidStorageClass, .invalidTag,
    .invalidURI, .keyTooLongError, .malformedPOSTRequest, .malformedTrailerError, .malformedXML,
    .maxMessageLengthExceeded, .maxPostPreDataLengthExceededError, .metadataTooLarge,
    .methodNotAllowed, .missingAttachment, .missingContentLength, .missingRequestBodyError,
    .notImplemented, .requestHeaderSectionTooLarge, .requestIsNotMultiPartContent, .requestTimeout,
    .unexpectedContent, .userKeyMustBeSpecified,
  ]
}
