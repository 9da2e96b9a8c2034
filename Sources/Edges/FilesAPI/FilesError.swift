import HTTPServer
import Metadata
import ObjectEngine

/// An answer that is an error: `{"error": code, "details": …, "request_id": …}`.
struct FilesError: Error, Hashable, Sendable {
  /// 400 to 503.
  var status: Int
  /// A fixed word for programs.
  var code: String
  /// A sentence for people; names nothing inside the server.
  var details: String
  /// Header fields that belong to the answer.
  var headers: [Field] = []

  struct Field: Hashable, Sendable {
    var name: String
    var value: String
  }

  init(_ status: Int, _ code: String, _ details: String, headers: [Field] = []) {
    self.status = status
    self.code = code
    self.details = details
    self.headers = headers
  }

  static func badRequest(_ details: String) -> FilesError {
    FilesError(400, "invalid_request", details)
  }

  static let unauthorized = FilesError(
    401, "unauthorized", "an access key and its secret are needed, as a bearer token or by Basic",
    headers: [
      Field(name: "WWW-Authenticate", value: "Bearer realm=\"s3storage\""),
      Field(name: "WWW-Authenticate", value: "Basic realm=\"s3storage\", charset=\"UTF-8\""),
    ])

  static let notFound = FilesError(404, "not_found", "there is no such file")

  static func methodNotAllowed(_ allowed: String) -> FilesError {
    FilesError(
      405, "method_not_allowed", "allowed here: \(allowed)",
      headers: [Field(name: "Allow", value: allowed)])
  }

  static func tooLarge(_ limit: Int64) -> FilesError {
    FilesError(413, "too_large", "a file has at most \(limit) bytes")
  }

  static func unavailable(_ code: String, _ details: String) -> FilesError {
    FilesError(503, code, details, headers: [Field(name: "Retry-After", value: "5")])
  }

  static let internalError = FilesError(500, "internal_error", "the request failed in the server")
}

extension FilesError {
  /// What a failure of the layers below is to a client; nil for what no client can be told,
  /// because it has gone.
  init?(_ error: any Error) {
    switch error {
    case let error as FilesError: self = error
    case let error as FormError: self = .badRequest(error.reason)
    case let error as EngineError: self.init(engine: error)
    case let error as MetadataError: self.init(metadata: error)
    case let error as HTTPTransferError:
      switch error {
      case .malformed(let reason): self = .badRequest("the body is malformed: \(reason)")
      case .timedOut: self.init(408, "timeout", "the body did not arrive in time")
      case .tooLarge: self.init(413, "too_large", "the body is too large")
      case .disconnected, .cancelled: return nil
      case .tooLong, .misused: self = .internalError
      }
    case is CancellationError: return nil
    default: self = .internalError
    }
  }

  private init(engine error: EngineError) {
    switch error {
    case .metadata(let error): self.init(metadata: error)
    case .tooLarge(let limit): self = .tooLarge(limit)
    case .incompleteBody: self = .badRequest("the body ended early")
    case .digestMismatch(let name): self = .badRequest("the \(name) does not match")
    case .tooFewStores:
      self = .unavailable("storage_unavailable", "too few stores take writes at the moment")
    case .storesFull: self = .unavailable("storage_full", "the stores are full")
    case .unreadable:
      self = .unavailable("storage_unavailable", "too few chunks can be read at the moment")
    case .corrupt, .partTooSmall: self = .internalError
    }
  }

  private init(metadata error: MetadataError) {
    switch error {
    case .noSuchBucket, .noSuchKey, .noSuchVersion, .notFound: self = .notFound
    case .preconditionFailed, .alreadyExists, .bucketExists, .bucketNotEmpty:
      self.init(409, "conflict", "the file was changed at the same time")
    case .noSuchUpload, .invalidPart: self = .internalError
    case .full: self = .unavailable("storage_full", "the metadata's disk is full")
    case .fenced, .unavailable, .unknownOutcome:
      self = .unavailable("metadata_unavailable", "the metadata cannot be reached at the moment")
    }
  }
}
