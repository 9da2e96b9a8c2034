/// The source of a copy: `x-amz-copy-source`.
public struct CopySource: Hashable, Sendable {
  /// The bucket.
  public let bucket: BucketName
  /// The key.
  public let key: ObjectKey
  /// The version; nil for the current one.
  public let versionID: String?

  /// Reads `bucket/key` or `/bucket/key`, percent-encoded, with `?versionId=` behind it.
  ///
  /// Throws `InvalidArgument` for what has not that form, and what bucket names and keys throw.
  public init(_ raw: ArraySlice<UInt8>) throws(S3Error) {
    // A key may hold a question mark of its own where the client encoded nothing.
    let marker = Array("?versionId=".utf8)
    var path = raw
    var version: ArraySlice<UInt8>?
    if let place = raw.ranges(of: marker).last {
      path = raw[..<place.lowerBound]
      version = raw[place.upperBound...]
    }
    if path.first == UInt8(ascii: "/") { path = path.dropFirst() }
    guard let decoded = PercentDecoding.decode(path),
      let slash = decoded.firstIndex(of: UInt8(ascii: "/")), slash > decoded.startIndex,
      slash + 1 < decoded.endIndex
    else {
      throw Self.invalid(
        "Invalid copy source object key: the header must be of the form bucket/key")
    }
    bucket = try BucketName(String(decoding: decoded[..<slash], as: UTF8.self))
    key = try ObjectKey(decoded[(slash + 1)...])
    guard let version else {
      versionID = nil
      return
    }
    guard let bytes = PercentDecoding.decode(version), (1...1024).contains(bytes.count),
      bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else { throw Self.invalid("Invalid version id specified") }
    versionID = String(decoding: bytes, as: UTF8.self)
  }

  private static func invalid(_ message: String) -> S3Error {
    .invalidArgument(message, name: "x-amz-copy-source")
  }
}

extension ArraySlice<UInt8> {
  /// Every place of a non-empty run of bytes, from left to right.
  fileprivate func ranges(of run: [UInt8]) -> [Range<Int>] {
    guard !run.isEmpty, count >= run.count else { return [] }
    return (startIndex...endIndex - run.count).compactMap { start in
      let range = start..<start + run.count
      return self[range].elementsEqual(run) ? range : nil
    }
  }
}
