// Objects, versions, uploads and conditions.

extension S3Error.Code {
  /// ConditionalRequestConflict, status 409.
  public static let conditionalRequestConflict = Self(
    "ConditionalRequestConflict", 409,
    "The conditional request cannot succeed due to a conflicting operation against this "
      + "resource.")

  /// InvalidObjectState, status 403.
  public static let invalidObjectState = Self(
    "InvalidObjectState", 403,
    "The operation is not valid for the object's storage class")

  /// InvalidPart, status 400.
  public static let invalidPart = Self(
    "InvalidPart", 400,
    "One or more of the specified parts could not be found.  The part may not have been "
      + "uploaded, or the specified entity tag may not match the part's entity tag.")

  /// InvalidPartNumber, status 416.
  public static let invalidPartNumber = Self(
    "InvalidPartNumber", 416,
    "The requested partnumber is not satisfiable")

  /// InvalidPartOrder, status 400.
  public static let invalidPartOrder = Self(
    "InvalidPartOrder", 400,
    "The list of parts was not in ascending order. Parts must be ordered by part number.")

  /// NoSuchKey, status 404.
  public static let noSuchKey = Self("NoSuchKey", 404, "The specified key does not exist.")

  /// NoSuchUpload, status 404.
  public static let noSuchUpload = Self(
    "NoSuchUpload", 404,
    "The specified upload does not exist. The upload ID may be invalid, or the upload may "
      + "have been aborted or completed.")

  /// NoSuchVersion, status 404.
  public static let noSuchVersion = Self(
    "NoSuchVersion", 404,
    "The specified version does not exist.")

  /// NotFound, status 404.
  public static let notFound = Self("NotFound", 404, "Not Found")

  /// NotModified, status 304.
  public static let notModified = Self("NotModified", 304, "Not Modified")

  /// ObjectNotInActiveTierError, status 403.
  public static let objectNotInActiveTierError = Self(
    "ObjectNotInActiveTierError", 403,
    "The source object of the COPY action is not in the active tier.")

  /// OperationAborted, status 409.
  public static let operationAborted = Self(
    "OperationAborted", 409,
    "A conflicting conditional operation is currently in progress against this resource. "
      + "Please try again.")

  /// PreconditionFailed, status 412.
  public static let preconditionFailed = Self(
    "PreconditionFailed", 412,
    "At least one of the pre-conditions you specified did not hold")

  /// RestoreAlreadyInProgress, status 409.
  public static let restoreAlreadyInProgress = Self(
    "RestoreAlreadyInProgress", 409,
    "Object restore is already in progress.")

  static let objectCodes: [S3Error.Code] = [
    .conditionalRequestConflict, .invalidObjectState, .invalidPart, .invalidPartNumber,
    .invalidPartOrder, .noSuchKey, .noSuchUpload, .noSuchVersion, .notFound, .notModified,
    .objectNotInActiveTierError, .operationAborted, .preconditionFailed, .restoreAlreadyInProgress,
  ]
}
