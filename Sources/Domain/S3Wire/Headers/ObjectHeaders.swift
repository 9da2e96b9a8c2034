/// One header or metadata entry of an object: the name in lower case and the value as sent.
public struct NamedValue: Hashable, Sendable {
  /// The name.
  public var name: String
  /// The value.
  public var value: String

  /// Makes an entry.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// What a client sends with an object and gets back with it.
public struct ObjectHeaders: Hashable, Sendable {
  /// The most bytes of user metadata: names without `x-amz-meta-` and values together.
  public static let maximumMetadataBytes = 2048
  /// The most bytes of the value of one content header.
  public static let maximumValueBytes = 4096

  /// Content headers that were sent, `aws-chunked` taken out of `content-encoding`.
  public var content: [NamedValue] = []
  /// User metadata: names without `x-amz-meta-`, sorted; duplicates joined by commas.
  public var metadata: [NamedValue] = []
  /// The storage class; `STANDARD` where none was sent.
  public var storageClass = "STANDARD"
  /// The tags of `x-amz-tagging`, in order.
  public var tags: [NamedValue] = []

  /// The content headers that an object keeps.
  public static let contentNames = [
    "content-type", "cache-control", "content-disposition", "content-encoding",
    "content-language", "expires", "x-amz-website-redirect-location",
  ]

  /// The storage classes that a client may name; all are kept alike.
  ///
  /// `GLACIER` and `DEEP_ARCHIVE` are none: clients do not read objects of those classes before
  /// they have restored them, and skip them when they synchronise.
  public static let storageClasses: Set<String> = [
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
    "GLACIER_IR",
  ]

  /// Reads the headers of a PUT, copy or new multipart upload.
  ///
  /// Throws `MetadataTooLarge`, `InvalidStorageClass`, `InvalidTag` and `InvalidArgument`.
  public init(_ headers: RequestHeaders) throws(S3Error) {
    for name in Self.contentNames {
      guard var value = headers.joined(name) else { continue }
      if name == "content-encoding" { value = Self.withoutChunked(value) }
      guard !value.isEmpty else { continue }
      try Self.check(value, name: name)
      content.append(NamedValue(name: name, value: value))
    }
    metadata = try Self.userMetadata(headers)
    if let value = headers.text("x-amz-storage-class") {
      guard Self.storageClasses.contains(value) else { throw S3Error(.invalidStorageClass) }
      storageClass = value
    }
    if let value = try headers.single("x-amz-tagging") { tags = try ObjectTags.parse(value) }
  }

  /// A value without control characters, so that it can be sent back as a header.
  static func check(_ value: String, name: String) throws(S3Error) {
    guard value.utf8.count <= maximumValueBytes,
      value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7f) || $0 == 0x09 })
    else {
      throw .invalidArgument("The value of \(name) is not a valid header value.", name: name)
    }
  }

  private static func withoutChunked(_ value: String) -> String {
    value.split(separator: ",")
      .map { piece in piece.drop { $0 == " " || $0 == "\t" } }
      .filter { $0.lowercased().filter { $0 != " " && $0 != "\t" } != "aws-chunked" }
      .joined(separator: ", ")
  }

  private static func userMetadata(_ headers: RequestHeaders) throws(S3Error) -> [NamedValue] {
    let prefix = "x-amz-meta-"
    var entries: [String: String] = [:]
    var size = 0
    for field in headers.fields {
      guard field.name.count > prefix.utf8.count,
        RequestHeaders.matches(field.name.prefix(prefix.utf8.count), prefix)
      else { continue }
      let name = String(
        decoding: field.name.dropFirst(prefix.utf8.count).map { RequestHeaders.lower($0) },
        as: UTF8.self)
      let value = RequestHeaders.text(field.value)
      size += name.utf8.count + value.utf8.count
      guard size <= maximumMetadataBytes else {
        throw S3Error(
          .metadataTooLarge,
          details: [
            .init("Size", "\(size)"), .init("MaxSizeAllowed", "\(maximumMetadataBytes)"),
          ])
      }
      try check(value, name: prefix + name)
      entries[name] = entries[name].map { "\($0),\(value)" } ?? value
    }
    return entries.sorted { $0.key < $1.key }.map { NamedValue(name: $0.key, value: $0.value) }
  }
}
