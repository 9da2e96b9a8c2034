public import Base

/// The conditions of a read (RFC 9110 §13), of the object itself or of a copy's source.
public struct ReadConditions: Hashable, Sendable {
  /// What to do with the request.
  public enum Outcome: Hashable, Sendable {
    /// Carry it out.
    case proceed
    /// Answer 304: the client has the object already.
    case notModified
    /// Answer 412; the name of the header that did not hold.
    case preconditionFailed(String)
  }

  /// `If-Match`.
  public var ifMatch: ETagList?
  /// `If-None-Match`.
  public var ifNoneMatch: ETagList?
  /// `If-Modified-Since`.
  public var ifModifiedSince: Timestamp?
  /// `If-Unmodified-Since`.
  public var ifUnmodifiedSince: Timestamp?

  /// Whether there is none.
  public var isEmpty: Bool {
    ifMatch == nil && ifNoneMatch == nil && ifModifiedSince == nil && ifUnmodifiedSince == nil
  }

  /// Reads the conditions of a GET or HEAD.
  public init(_ headers: RequestHeaders) {
    self.init(headers, prefix: "")
  }

  /// Reads the conditions on the source of a copy.
  public init(copySource headers: RequestHeaders) {
    self.init(headers, prefix: "x-amz-copy-source-")
  }

  private init(_ headers: RequestHeaders, prefix: String) {
    ifMatch = headers.joined(prefix + "if-match").map { ETagList($0) }
    ifNoneMatch = headers.joined(prefix + "if-none-match").map { ETagList($0) }
    // A date that cannot be read is no condition (RFC 9110 §13.1.3, §13.1.4).
    ifModifiedSince = headers.text(prefix + "if-modified-since").flatMap { Self.date($0) }
    ifUnmodifiedSince = headers.text(prefix + "if-unmodified-since").flatMap { Self.date($0) }
  }

  /// Evaluates against an object that exists, in the order of RFC 9110 §13.2.2.
  ///
  /// - Parameter etag: the object's tag without quotes.
  public func evaluate(etag: String, lastModified: Timestamp) -> Outcome {
    // Headers carry whole seconds.
    let modified = lastModified.seconds
    if let ifMatch {
      if !ifMatch.matches(etag, weakly: false) { return .preconditionFailed("If-Match") }
    } else if let ifUnmodifiedSince, modified > ifUnmodifiedSince.seconds {
      return .preconditionFailed("If-Unmodified-Since")
    }
    if let ifNoneMatch {
      if ifNoneMatch.matches(etag, weakly: true) { return .notModified }
    } else if let ifModifiedSince, modified <= ifModifiedSince.seconds {
      return .notModified
    }
    return .proceed
  }

  /// Evaluates on the source of a copy, where every condition that does not hold is
  /// `PreconditionFailed`.
  public func checkCopySource(etag: String, lastModified: Timestamp) throws(S3Error) {
    switch evaluate(etag: etag, lastModified: lastModified) {
    case .proceed: return
    case .preconditionFailed(let header):
      throw .preconditionFailed("x-amz-copy-source-\(header)")
    case .notModified:
      throw .preconditionFailed(
        ifNoneMatch == nil
          ? "x-amz-copy-source-If-Modified-Since" : "x-amz-copy-source-If-None-Match")
    }
  }

  private static func date(_ text: String) -> Timestamp? {
    guard text.utf8.count <= 64 else { return nil }
    return Timestamp(httpDate: text) ?? Timestamp(iso8601: text)
  }
}
