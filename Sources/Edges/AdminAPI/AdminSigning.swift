import Access
import Base
import Crypto
import HTTPServer
import Runtime
public import Signing

/// How requests to the Admin API are signed: SigV4 by header, over the digest of the body.
public enum AdminSigning {
  /// The region of the scope, which is the same whatever the region of the buckets.
  public static let region = "us-east-1"
  /// The service of the scope: a signature for S3 is none for the Admin API.
  public static let service = "s3storage-admin"
  /// The largest body of a request.
  public static let maximumBodyBytes = 1 << 20

  /// Signs the requests of one administrator.
  public static func signer(accessKeyID: String, secretKey: String) -> RequestSigner {
    RequestSigner(
      accessKeyID: accessKeyID, secretKey: secretKey, region: region, service: service)
  }

  /// How the signature covers a body: by its digest.
  public static func payload(_ body: [UInt8]) -> PayloadMode {
    SHA256Digest(Digest.hash(.sha256, body)).map { .digest($0) } ?? .unsigned
  }
}

extension AdminService {
  private static let refused = AdminError(
    401, "unauthorized", "the access key is unknown, or the signature does not match its secret")

  /// The administrator who signed a request, and the body that the signature covers.
  ///
  /// The body is read when the signature has been found right, and compared with its digest.
  func authenticate(_ request: HTTPRequest) async throws -> (identity: Identity, body: [UInt8]) {
    let unverified = UnverifiedRequest(
      method: "\(request.head.method)", rawPath: request.head.path,
      rawQuery: request.head.query ?? [],
      fields: request.head.fields.map { .init(name: $0.name, value: $0.value) })
    let parsed: SignedRequest?
    do throws(SigningError) {
      parsed = try verifier.parse(unverified, now: clock.now)
    } catch {
      throw AdminError(401, "unauthorized", error.message)
    }
    guard let signed = parsed else {
      throw AdminError(401, "unauthorized", "requests are signed with an administrator's key")
    }
    guard !signed.isPresigned, case .digest(let digest) = signed.payload else {
      throw AdminError(401, "unauthorized", "the signature must cover the digest of the body")
    }
    let identity: Identity
    do {
      let signer = try await access.signer(accessKeyID: signed.accessKeyID, scope: signed.scope)
      try signed.verify(signer.key)
      identity = signer.identity
    } catch is AccessError {
      throw Self.refused
    } catch is SigningError {
      throw Self.refused
    }
    guard identity.isAdministrator else {
      throw AdminError(403, "forbidden", "only administrators may do this")
    }
    let body = try await request.body.collect(upTo: AdminSigning.maximumBodyBytes)
    guard SHA256Digest(Digest.hash(.sha256, body)) == digest else {
      throw AdminError.badRequest("the body is not what was signed")
    }
    return (identity, body)
  }
}
