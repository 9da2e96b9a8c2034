import Access
import HTTPServer
import Metadata
import ObjectEngine
import Recovery

/// An answer that is an error: `{"error": code, "details": …, "request_id": …}`.
struct AdminError: Error, Hashable, Sendable {
  var status: Int
  var code: String
  var details: String

  init(_ status: Int, _ code: String, _ details: String) {
    self.status = status
    self.code = code
    self.details = details
  }

  static func badRequest(_ details: String) -> AdminError {
    AdminError(400, "invalid_request", details)
  }

  static func notProvided(_ what: String) -> AdminError {
    AdminError(404, "not_provided", "this process has no \(what)")
  }

  static let internalError = AdminError(500, "internal_error", "the request failed in the server")

  /// What a failure of the layers below is to a client; nil when the client has gone.
  init?(_ error: any Error) {
    switch error {
    case let error as AdminError: self = error
    case let error as MetadataError: self.init(metadata: error)
    case let error as EngineError: self.init(engine: error)
    case let error as AdoptionError: self.init(409, "conflict", error.description)
    case AccessError.invalidInput(let reason): self = .badRequest(reason)
    case MasterKeyError.rotationUnfinished:
      self.init(409, "conflict", "a rotation of the master key is not finished; else restart")
    case MasterKeyError.tooFewStores:
      self.init(409, "conflict", "too few stores can take the keys; nothing was changed")
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
    case .tooFewStores:
      self.init(503, "storage_unavailable", "too few stores take writes at the moment")
    case .storesFull: self.init(503, "storage_full", "the stores are full")
    case .unreadable:
      self.init(503, "storage_unavailable", "too few chunks can be read at the moment")
    // No client's body becomes an object here: what was read is not what was written.
    case .tooLarge, .incompleteBody, .digestMismatch, .corrupt, .partTooSmall:
      self = .internalError
    }
  }

  private init(metadata error: MetadataError) {
    switch error {
    case .notFound(let what): self.init(404, "not_found", "there is no \(what)")
    case .alreadyExists(let what): self.init(409, "already_exists", "\(what) exists already")
    case .full: self.init(503, "storage_full", "the metadata's disk is full")
    case .fenced, .unavailable, .unknownOutcome:
      self.init(503, "metadata_unavailable", "the metadata cannot be reached at the moment")
    case .preconditionFailed:
      self.init(409, "conflict", "something was changed at the same time")
    case .noSuchBucket, .bucketExists, .bucketNotEmpty, .noSuchKey, .noSuchVersion,
      .noSuchUpload, .invalidPart:
      self = .internalError
    }
  }
}
