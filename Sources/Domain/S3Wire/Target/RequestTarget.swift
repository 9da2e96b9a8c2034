/// What a request names: the service, a bucket, or a key in a bucket.
public struct RequestTarget: Sendable {
  /// The bucket; nil for the service.
  public let bucket: BucketName?
  /// The key; nil for the service and for a bucket.
  public let key: ObjectKey?
  /// The query.
  public let query: RequestQuery
  /// Whether the bucket came with the host name.
  public let isVirtualHosted: Bool

  /// Reads a target.
  ///
  /// The path is split at its first slash before anything is decoded, then bucket and key are
  /// percent-decoded once; `+` is a plus. Throws `InvalidURI`, `InvalidBucketName` and
  /// `KeyTooLongError`.
  ///
  /// - Parameters:
  ///   - rawPath: the path as sent; begins with `/`, or is empty, or is `*`.
  ///   - rawQuery: what follows the `?`, as sent; empty without one.
  ///   - host: the Host header, with or without a port.
  ///   - domains: the domains under which buckets are host names, in lower case.
  public init(
    rawPath: ArraySlice<UInt8>, rawQuery: ArraySlice<UInt8>, host: ArraySlice<UInt8>,
    domains: [String]
  ) throws(S3Error) {
    query = try RequestQuery(rawQuery)
    let hostBucket = Self.bucket(inHost: host, domains: domains)
    isVirtualHosted = hostBucket != nil
    guard rawPath.first == UInt8(ascii: "/") else {
      guard rawPath.isEmpty || rawPath.elementsEqual([UInt8(ascii: "*")]) else {
        throw S3Error(.invalidURI)
      }
      bucket = if let hostBucket { try BucketName(hostBucket) } else { nil }
      key = nil
      return
    }
    var rest = rawPath.dropFirst()
    if let hostBucket {
      bucket = try BucketName(hostBucket)
    } else if rest.isEmpty {
      bucket = nil
    } else {
      let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
      bucket = try BucketName(String(decoding: try Self.decode(rest[..<end]), as: UTF8.self))
      rest = end < rest.endIndex ? rest[(end + 1)...] : []
    }
    key = rest.isEmpty ? nil : try ObjectKey(try Self.decode(rest))
  }

  private static func decode(_ raw: ArraySlice<UInt8>) throws(S3Error) -> ArraySlice<UInt8> {
    guard let bytes = PercentDecoding.decode(raw) else { throw S3Error(.invalidURI) }
    return bytes
  }

  /// The labels before one of the domains; nil when the host is none of theirs or a domain itself.
  private static func bucket(inHost host: ArraySlice<UInt8>, domains: [String]) -> String? {
    guard !domains.isEmpty, host.count <= 255 + 6 else { return nil }
    var name = host
    if let colon = name.lastIndex(of: UInt8(ascii: ":")),
      name[(colon + 1)...].allSatisfy({ (0x30...0x39).contains($0) })
    {
      name = name[..<colon]
    }
    let text = String(decoding: name, as: UTF8.self).lowercased()
    for domain in domains where text.hasSuffix(".\(domain)") {
      return String(text.dropLast(domain.count + 1))
    }
    return nil
  }
}
