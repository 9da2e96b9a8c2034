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
    _ request: HTTPRequest, _ target: RequestTarget
  ) async throws -> (Identity, SignedRequest, SigningKey) {
    let head = request.head
    let unverified = UnverifiedRequest(
      method: head.method.description, rawPath: head.path, rawQuery: head.query ?? [],
      fields: head.fields.map { UnverifiedRequest.Field(name: $0.name, value: $0.value) },
      hostBucket: target.isVirtualHosted ? target.bucket?.text : nil)
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

  /// Throws `AccessDenied` unless the caller may use the bucket and it belongs to whom the caller
  /// expects.
  func authorise(
    _ call: S3Call, _ bucket: Bucket, expectedOwner: ExpectedOwner = .ofBucket
  ) throws(S3Error) {
    guard access.mayUse(bucket, call.identity) else { throw S3Error(.accessDenied) }
    try Self.check(expectedOwner, of: call, is: bucket.owner)
  }

  /// Throws `AccessDenied` when a request expects another owner than this one, and
  /// `InvalidBucketOwnerAWSAccountID` for what names nobody.
  ///
  /// An owner is named by the ID that ListBuckets shows of it. The twelve digits of an AWS account
  /// are a name too, but nobody's here.
  static func check(
    _ expected: ExpectedOwner, of call: S3Call, is owner: UserID
  ) throws(S3Error) {
    guard let text = try call.headers.single(expected.rawValue) else { return }
    let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    let isAccount = text.utf8.count == 12 && digits
    guard isAccount || isOwnerID(text) else {
      throw S3Error(
        .invalidBucketOwnerAWSAccountID,
        details: [
          .init("ArgumentName", expected.rawValue),
          .init("ArgumentValue", String(text.prefix(256))),
        ])
    }
    guard text.lowercased() == ownerID(owner) else { throw S3Error(.accessDenied) }
  }

  static func noSuchBucket(_ name: String) -> S3Error {
    S3Error(.noSuchBucket, details: [.init("BucketName", name)])
  }
}

/// The headers in which a client says whose bucket it expects.
enum ExpectedOwner: String {
  /// Of the bucket that the request names.
  case ofBucket = "x-amz-expected-bucket-owner"
  /// Of the bucket of a copy's source.
  case ofSource = "x-amz-source-expected-bucket-owner"
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
