import Access
import HTTPServer
import Metadata
import ObjectEngine
import Runtime
import S3Wire
import Signing

extension S3Service {
  /// Who signed a request. Anonymous requests are refused: no operation admits them.
  func authenticate(
    _ request: HTTPRequest
  ) async throws -> (Identity, SignedRequest, SigningKey) {
    let head = request.head
    let unverified = UnverifiedRequest(
      method: head.method.description, rawPath: head.path, rawQuery: head.query ?? [],
      fields: head.fields.map { UnverifiedRequest.Field(name: $0.name, value: $0.value) })
    do {
      guard let signed = try verifier.parse(unverified, now: clock.now) else {
        throw S3Error(.accessDenied)
      }
      let signer: (identity: Identity, key: SigningKey)
      do {
        signer = try await access.signer(accessKeyID: signed.accessKeyID, scope: signed.scope)
      } catch AccessError.invalidKey {
        throw S3Error(
          .invalidAccessKeyId, details: [.init("AWSAccessKeyId", signed.accessKeyID)])
      } catch AccessError.expired {
        throw S3Error(.invalidAccessKeyId, "The AWS access key ID that you provided has expired.")
      }
      try signed.verify(signer.key)
      if signed.sessionToken != nil { throw S3Error(.invalidToken) }
      return (signer.identity, signed, signer.key)
    } catch let error as SigningError {
      throw S3Error(error)
    }
  }

  /// The bucket of a call, which its caller may use. Throws `NoSuchBucket`, `AccessDenied`.
  func bucket(_ call: S3Call) async throws -> Bucket {
    let name = try call.bucketName()
    guard
      let bucket = try await metadata.bucket(named: name, tenant: call.identity.user.tenant),
      bucket.purpose == .s3
    else { throw Self.noSuchBucket(name) }
    try authorise(call, bucket)
    return bucket
  }

  /// Runs a write of an object into the bucket of a call, which may have been looked up a moment
  /// ago: `body` commits into it or throws `noSuchBucket`.
  ///
  /// A bucket that was deleted and made again in that moment makes the write fail with an error
  /// that clients try again after.
  func withWritableBucket<R>(
    _ call: S3Call, _ body: (Bucket) async throws -> R
  ) async throws -> R {
    let name = try call.bucketName()
    let tenant = call.identity.user.tenant
    guard let known = buckets.bucket(name, tenant: tenant) else {
      let found = try await bucket(call)
      buckets.add(found, tenant: tenant)
      return try await body(found)
    }
    try authorise(call, known)
    do {
      return try await body(known)
    } catch EngineError.metadata(.noSuchBucket) {
      buckets.remove(name, tenant: tenant)
      guard try await metadata.bucket(named: name, tenant: tenant) != nil else {
        throw Self.noSuchBucket(name)
      }
      throw S3Error(.slowDown)
    }
  }

  /// Throws `AccessDenied` unless the caller may use the bucket.
  func authorise(_ call: S3Call, _ bucket: Bucket) throws(S3Error) {
    guard access.mayUse(bucket, call.identity) else { throw S3Error(.accessDenied) }
  }

  static func noSuchBucket(_ name: String) -> S3Error {
    S3Error(.noSuchBucket, details: [.init("BucketName", name)])
  }
}

extension S3Error {
  /// What a client reads of a signature that does not hold.
  init(_ error: SigningError) {
    let code: Code =
      switch error.code {
      case .accessDenied: .accessDenied
      case .authorizationHeaderMalformed: .authorizationHeaderMalformed
      case .authorizationQueryParametersError: .authorizationQueryParametersError
      case .invalidArgument: .invalidArgument
      case .invalidRequest: .invalidRequest
      case .invalidURI: .invalidURI
      case .requestTimeTooSkewed: .requestTimeTooSkewed
      case .signatureDoesNotMatch: .signatureDoesNotMatch
      case .incompleteBody: .incompleteBody
      case .invalidChunkSize: .invalidChunkSizeError
      case .malformedTrailer: .malformedTrailerError
      }
    self.init(
      code, error.message, details: error.details.map { .init($0.name, $0.value) })
  }
}
