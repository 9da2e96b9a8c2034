import Access
import HTTPServer
import Metadata
import S3Wire
import Signing

/// One request, parsed and authenticated.
struct S3Call: Sendable {
  let request: HTTPRequest
  let requestID: String
  let operation: S3Operation
  let target: RequestTarget
  let headers: RequestHeaders
  let identity: Identity
  let signed: SignedRequest
  let signingKey: SigningKey

  var query: RequestQuery { target.query }

  /// The bucket's name. Throws for an operation on the service, which has none.
  func bucketName() throws(S3Error) -> String {
    guard let bucket = target.bucket else { throw S3Error(.invalidBucketName) }
    return bucket.text
  }

  /// The key's bytes. Throws for an operation on a bucket, which has none.
  func key() throws(S3Error) -> [UInt8] {
    guard let key = target.key else { throw S3Error(.noSuchKey) }
    return key.bytes
  }
}
