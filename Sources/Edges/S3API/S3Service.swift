public import Access
import Base
public import HTTPServer
import Metadata
public import ObjectEngine
public import Runtime
import S3Wire
import Signing
public import Telemetry

/// The S3 API: parses, authenticates, authorises, runs one operation and answers.
///
/// `handle` may be called from any task; it never throws, since each failure is an S3 error.
public final class S3Service: Sendable {
  let engine: ObjectEngine
  let access: AccessControl
  let region: String
  let domains: [String]
  let clock: any WallClock
  let log: Log
  let verifier: SignatureVerifier
  let requestIDs: RequestIDs
  let buckets: BucketCache

  /// Serves `engine` to those whom `access` knows. `domains` are the host names below which a
  /// label names a bucket.
  public init(
    engine: ObjectEngine, access: AccessControl, region: String, domains: [String],
    clock: any WallClock, random: any RandomSource, log: Log
  ) {
    self.engine = engine
    self.access = access
    self.region = region
    self.domains = domains
    self.clock = clock
    self.log = log.named("s3")
    buckets = BucketCache(clock: clock)
    verifier = SignatureVerifier(region: region)
    requestIDs = RequestIDs(random: random)
  }

  var metadata: any MetadataStore { engine.metadata }

  /// Answers one request.
  public func handle(_ request: HTTPRequest) async -> HTTPResponse {
    let requestID = requestIDs.next()
    if request.head.path.elementsEqual(Self.healthPath) {
      return HTTPResponse(status: 200, headers: [("content-type", "text/plain")])
    }
    do {
      let call = try await open(request, requestID: requestID)
      var response = try await perform(call)
      response.headers.append(("x-amz-request-id", requestID))
      return response
    } catch {
      return answer(error, to: request, requestID: requestID)
    }
  }

  /// The body of an answer to a request that is no HTTP.
  public static func protocolErrorBody(
    _ status: Int, _ reason: String
  ) -> (body: [UInt8], contentType: String) {
    let error =
      switch status {
      case 408: S3Error(.requestTimeout)
      case 431: S3Error(.requestHeaderSectionTooLarge)
      default: S3Error(.badRequest, reason)
      }
    return (error.body(resource: [], requestID: ""), "application/xml")
  }

  /// Whether the body is what a browser sends of a form with files (RFC 7578).
  private static func isForm(_ headers: RequestHeaders) -> Bool {
    guard let type = headers.text("content-type") else { return false }
    let kind = type.prefix { $0 != ";" && $0 != " " && $0 != "\t" }
    return kind.lowercased() == "multipart/form-data"
  }

  /// Whether a request with a form in its body is PostObject.
  private static func isFormUpload(
    _ head: HTTPRequestHead, _ target: RequestTarget, _ headers: RequestHeaders
  ) -> Bool {
    let operation = try? S3Router.route(
      method: head.method.description, hasBucket: target.bucket != nil, hasKey: target.key != nil,
      query: target.query, isForm: true, hasHeader: { headers.contains($0) })
    return operation == .postObject
  }

  private static let healthPath = Array("/_/health".utf8)
  private static let objectResponsePath = Array("/WriteGetObjectResponse".utf8)

  private func open(_ request: HTTPRequest, requestID: String) async throws -> S3Call {
    let head = request.head
    let query = head.query ?? []
    let target: RequestTarget
    do {
      target = try RequestTarget(
        rawPath: head.path, rawQuery: query, host: head.authority, domains: domains)
    } catch {
      // The name of this operation stands where that of a bucket does, and is none. Clients sign it
      // for another service.
      guard head.method == .post, head.path.elementsEqual(Self.objectResponsePath) else {
        throw error
      }
      throw S3Error(.notImplemented)
    }
    var headers = RequestHeaders(
      head.fields.map { RequestHeaders.Field(name: $0.name, value: $0.value) })
    let isForm = Self.isForm(headers)
    // Who sends a form upload is said in its body: there is nothing to authenticate before.
    if isForm && Self.isFormUpload(head, target, headers) { throw S3Error(.notImplemented) }
    let (identity, signed, key) = try await authenticate(request, target)
    // Whoever holds a URL must not make another operation of it.
    guard
      signed.version == .version4
        || S3Router.selectors(in: target.query).allSatisfy({ signed.covers(parameter: $0) })
    else {
      throw S3Error(
        .accessDenied, "Signature version 2 does not cover all that this request asks for.")
    }
    // Clients put headers into the query of a presigned URL: they are signed there.
    if signed.isPresigned {
      headers = headers.adding(
        presigned: target.query, includingContentFields: signed.version == .version2)
    }
    let operation = try S3Router.route(
      method: head.method.description, hasBucket: target.bucket != nil, hasKey: target.key != nil,
      query: target.query, isForm: isForm, hasHeader: { headers.contains($0) })
    guard operation.isImplemented else { throw S3Error(.notImplemented) }
    return S3Call(
      request: request, requestID: requestID, operation: operation, target: target,
      headers: headers, identity: identity, signed: signed, signingKey: key)
  }
}

/// Unique names of requests: a random part of the process and a count.
final class RequestIDs: Sendable {
  private let random: any RandomSource

  init(random: any RandomSource) { self.random = random }

  /// 16 upper-case hexadecimal digits.
  func next() -> String {
    let text = String(random.next(), radix: 16, uppercase: true)
    return String(repeating: "0", count: 16 - text.utf8.count) + text
  }
}
