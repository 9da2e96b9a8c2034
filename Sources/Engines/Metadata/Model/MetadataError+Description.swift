extension MetadataError: CustomStringConvertible {
  /// For logs, and for the operator.
  public var description: String {
    switch self {
    case .noSuchBucket: "there is no such bucket"
    case .bucketExists: "there is a bucket of that name already"
    case .bucketNotEmpty: "the bucket is not empty"
    case .noSuchKey: "there is no object of that key"
    case .noSuchVersion: "there is no such version of the object"
    case .preconditionFailed: "a condition does not hold"
    case .noSuchUpload: "there is no such upload"
    case .invalidPart(let number): "part \(number) is not there or has another ETag"
    case .notFound(let what): "not found: \(what)"
    case .alreadyExists(let what): "exists already: \(what)"
    case .fenced: "another process has taken over: this one may not write any more"
    case .full: "the disk of the metadata is full"
    case .unavailable(let reason): "the metadata: \(reason)"
    case .unknownOutcome: "whether the metadata was changed could not be found out yet"
    }
  }
}
