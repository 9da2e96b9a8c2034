/// Why a signature, or the body it covers, was refused.
public struct SigningError: Error, Hashable, Sendable {
  /// The S3 error code; the raw value is its name on the wire.
  public enum Code: String, Hashable, Sendable, CaseIterable {
    /// 403: not signed as it must be, expired, or not valid yet.
    case accessDenied = "AccessDenied"
    /// 400: the Authorization header cannot be read, or its scope is not this server's.
    case authorizationHeaderMalformed = "AuthorizationHeaderMalformed"
    /// 400: the same of a presigned URL.
    case authorizationQueryParametersError = "AuthorizationQueryParametersError"
    /// 400: more than one authentication, or a value that is none of the allowed ones.
    case invalidArgument = "InvalidArgument"
    /// 400: a mechanism that is not offered, or a required header that is missing.
    case invalidRequest = "InvalidRequest"
    /// 400: a path or query that cannot be decoded.
    case invalidURI = "InvalidURI"
    /// 403: the request's time is too far from the server's.
    case requestTimeTooSkewed = "RequestTimeTooSkewed"
    /// 403: the signature of the request, of a chunk or of the trailer is wrong.
    case signatureDoesNotMatch = "SignatureDoesNotMatch"
    /// 400: the body ended early, or has another length than announced.
    case incompleteBody = "IncompleteBody"
    /// 403: a chunk whose size cannot be read or is not allowed.
    case invalidChunkSize = "InvalidChunkSizeError"
    /// 400: the trailer is not well-formed or not what was announced.
    case malformedTrailer = "MalformedTrailerError"
  }

  /// The S3 error code.
  public var code: Code
  /// A sentence for people; holds nothing the client did not send.
  public var message: String
  /// Further elements of the answer, name and text.
  public var details: [Detail]

  /// One further element of the answer.
  public struct Detail: Hashable, Sendable {
    /// The element's name.
    public var name: String
    /// Its text.
    public var value: String

    init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  init(_ code: Code, _ message: String, details: [Detail] = []) {
    self.code = code
    self.message = message
    self.details = details
  }

  static func malformed(presigned: Bool, _ message: String, _ details: [Detail] = []) -> Self {
    SigningError(
      presigned ? .authorizationQueryParametersError : .authorizationHeaderMalformed, message,
      details: details)
  }
}
