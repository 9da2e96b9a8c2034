import Access
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire
import Signing
import Telemetry

extension S3Service {
  /// The answer to a request that failed.
  func answer(_ error: any Error, to request: HTTPRequest, requestID: String) -> HTTPResponse {
    let mapped = s3Error(error)
    if mapped.code == .notImplemented {
      log.debug(
        "an operation is not offered",
        [("request_id", requestID), ("method", request.head.method.description)])
    } else if mapped.status >= 500 {
      log.error(
        "a request failed",
        [
          ("request_id", requestID), ("method", request.head.method.description),
          ("error", "\(error)"),
        ])
    }
    var headers = [("x-amz-request-id", requestID)]
    if mapped.status == 503 { headers.append(("retry-after", "5")) }
    if mapped.status == 304 { return HTTPResponse(status: 304, headers: headers) }
    if request.head.method == .head { return HTTPResponse(status: mapped.status, headers: headers) }
    headers.append(("content-type", "application/xml"))
    let body = mapped.body(resource: Array(request.head.path), requestID: requestID)
    return HTTPResponse(status: mapped.status, headers: headers, body: .bytes(body))
  }

  /// What a client reads of any failure.
  func s3Error(_ error: any Error) -> S3Error {
    switch error {
    case let error as S3Error: error
    case let error as SigningError: S3Error(error)
    case let error as EngineError: Self.engineError(error)
    case let error as MetadataError: Self.metadataError(error)
    case let error as HTTPTransferError: Self.transferError(error)
    case is CancellationError: S3Error(.requestTimeout)
    default: S3Error(.internalError)
    }
  }

  private static func engineError(_ error: EngineError) -> S3Error {
    switch error {
    case .metadata(let error): metadataError(error)
    case .tooLarge: S3Error(.entityTooLarge)
    case .incompleteBody: S3Error(.incompleteBody)
    case .digestMismatch: S3Error(.badDigest)
    case .tooFewStores, .unreadable: S3Error(.serviceUnavailable)
    case .storesFull: S3Error(.serviceUnavailable, "The stores are full.")
    case .corrupt: S3Error(.internalError)
    case .partTooSmall(let number):
      S3Error(.entityTooSmall, details: [.init("PartNumber", "\(number)")])
    }
  }

  private static func metadataError(_ error: MetadataError) -> S3Error {
    switch error {
    case .noSuchBucket: S3Error(.noSuchBucket)
    case .bucketExists(let isOwn):
      S3Error(isOwn ? .bucketAlreadyOwnedByYou : .bucketAlreadyExists)
    case .bucketNotEmpty: S3Error(.bucketNotEmpty)
    case .noSuchKey: S3Error(.noSuchKey)
    case .noSuchVersion: S3Error(.noSuchVersion)
    case .preconditionFailed: S3Error(.preconditionFailed)
    case .noSuchUpload: S3Error(.noSuchUpload)
    case .invalidPart(let number):
      S3Error(.invalidPart, details: [.init("PartNumber", "\(number)")])
    case .notFound: S3Error(.noSuchKey)
    case .alreadyExists: S3Error(.operationAborted)
    case .full: S3Error(.serviceUnavailable, "The disk of the metadata is full.")
    case .fenced, .unavailable, .unknownOutcome: S3Error(.serviceUnavailable)
    }
  }

  private static func transferError(_ error: HTTPTransferError) -> S3Error {
    switch error {
    case .malformed(let reason): S3Error(.badRequest, reason)
    case .timedOut: S3Error(.requestTimeout)
    case .tooLarge: S3Error(.maxMessageLengthExceeded)
    case .disconnected, .cancelled, .tooLong, .misused: S3Error(.incompleteBody)
    }
  }
}
