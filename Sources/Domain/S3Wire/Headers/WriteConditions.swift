/// The condition of a write: PutObject, CompleteMultipartUpload, CopyObject, DeleteObject.
public enum WriteConditions: Hashable, Sendable {
  /// None.
  case none
  /// `If-None-Match: *`: only where no object is.
  case absent
  /// `If-Match: *`: only where some object is.
  case present
  /// `If-Match`: only over the object with this tag, without quotes.
  case matches(String)

  /// Reads the headers of a write. S3 knows `If-None-Match` with `*` only and `If-Match` with one
  /// tag; anything else is `NotImplemented`, both at once too.
  public init(_ headers: RequestHeaders) throws(S3Error) {
    let match = headers.joined("if-match").map { ETagList($0) }
    let noneMatch = headers.joined("if-none-match").map { ETagList($0) }
    switch (match, noneMatch) {
    case (nil, nil): self = .none
    case (nil, .any?): self = .absent
    case (.any?, nil): self = .present
    case (.tags(let tags)?, nil):
      guard tags.count == 1, let tag = tags.first, !tag.isWeak else {
        throw .notImplemented(header: "If-Match")
      }
      self = .matches(tag.text)
    case (_, .some): throw .notImplemented(header: "If-None-Match")
    }
  }

  /// Throws `PreconditionFailed`, or `NoSuchKey` for `If-Match` where no object is.
  ///
  /// - Parameter currentETag: the tag, without quotes, of the object that is there now.
  public func check(currentETag: String?) throws(S3Error) {
    switch self {
    case .none: return
    case .absent:
      if currentETag != nil { throw .preconditionFailed("If-None-Match") }
    case .present:
      if currentETag == nil { throw S3Error(.noSuchKey) }
    case .matches(let etag):
      guard let currentETag else { throw S3Error(.noSuchKey) }
      if currentETag != etag { throw .preconditionFailed("If-Match") }
    }
  }
}
