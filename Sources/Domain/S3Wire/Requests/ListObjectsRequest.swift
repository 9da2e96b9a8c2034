/// The parameters of ListObjects and ListObjectsV2.
public struct ListObjectsRequest: Hashable, Sendable {
  /// Whether it is the second version of the operation.
  public var isVersion2: Bool
  /// Only keys that begin so.
  public var prefix: [UInt8]
  /// Keys that share what comes up to the first delimiter behind the prefix become one row.
  public var delimiter: [UInt8]
  /// Rows at most: 0 to 1000.
  public var pageSize: Int
  /// Whether keys go out percent-encoded.
  public var isURLEncoded: Bool
  /// Version 1: the key after which the list begins; empty without one.
  public var marker: [UInt8] = []
  /// Version 2: the key after which the first page begins; empty without one.
  public var startAfter: [UInt8] = []
  /// Version 2: where this page begins.
  public var continuation: ContinuationToken?
  /// Version 2: whether rows show their owner; version 1 always does.
  public var showsOwner: Bool

  /// The key or common prefix behind which the page begins; empty from the start.
  public var after: [UInt8] { continuation?.after ?? (isVersion2 ? startAfter : marker) }

  /// Reads a query; throws `InvalidArgument` and `KeyTooLongError`.
  public init(_ query: RequestQuery, isVersion2: Bool) throws(S3Error) {
    self.isVersion2 = isVersion2
    prefix = try Parameters.keyBytes(query, "prefix")
    delimiter = try Parameters.keyBytes(query, "delimiter")
    pageSize = try Parameters.pageSize(query, "max-keys")
    isURLEncoded = try Parameters.isURLEncoded(query)
    guard isVersion2 else {
      marker = try Parameters.keyBytes(query, "marker")
      showsOwner = true
      return
    }
    startAfter = try Parameters.keyBytes(query, "start-after")
    showsOwner = try query.text("fetch-owner")?.lowercased() == "true"
    if let text = try query.text("continuation-token") {
      continuation = try ContinuationToken(text)
    }
  }
}

/// The parameters of ListMultipartUploads.
public struct ListUploadsRequest: Hashable, Sendable {
  /// Only keys that begin so.
  public var prefix: [UInt8]
  /// As for keys.
  public var delimiter: [UInt8]
  /// Rows at most: 0 to 1000.
  public var pageSize: Int
  /// Whether keys go out percent-encoded.
  public var isURLEncoded: Bool
  /// Only uploads behind this key, or of this key behind `uploadIDMarker`; empty from the start.
  public var keyMarker: [UInt8]
  /// Together with `keyMarker`: only uploads behind it; empty without one.
  public var uploadIDMarker: String

  /// Reads a query; throws `InvalidArgument` and `KeyTooLongError`.
  public init(_ query: RequestQuery) throws(S3Error) {
    prefix = try Parameters.keyBytes(query, "prefix")
    delimiter = try Parameters.keyBytes(query, "delimiter")
    pageSize = try Parameters.pageSize(query, "max-uploads")
    isURLEncoded = try Parameters.isURLEncoded(query)
    keyMarker = try Parameters.keyBytes(query, "key-marker")
    let marker = try query.text("upload-id-marker") ?? ""
    guard marker.utf8.count <= 256 else {
      throw .invalidArgument("Invalid uploadId marker", name: "upload-id-marker")
    }
    // Without a key marker it has no meaning and is ignored.
    uploadIDMarker = keyMarker.isEmpty ? "" : marker
  }
}
