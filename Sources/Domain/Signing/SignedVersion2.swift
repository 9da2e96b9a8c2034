internal import Base

/// What a signature of version 2 in a presigned URL covers: verb, `Content-MD5`, `Content-Type`,
/// the end, the `x-amz-…` headers, the path, and those parameters that name another resource or
/// change the headers of the answer. Other parameters, such as the prefix of a list, it does not.
struct SignedVersion2: Sendable {
  /// All before the resource.
  private let head: [UInt8]
  /// The spellings of the path that clients sign; each is good for this one resource only.
  private let paths: [[UInt8]]
  /// All behind the path.
  private let subresources: [UInt8]

  init(
    _ request: UnverifiedRequest, query: CanonicalQuery, headers: Version2Headers,
    expires: ArraySlice<UInt8>
  ) throws(SigningError) {
    var head = Array("\(request.method)\n".utf8)
    for name in Version2Headers.positional {
      head.append(contentsOf: headers.value(name) ?? [])
      head.append(0x0a)
    }
    head.append(contentsOf: expires)
    head.append(0x0a)
    headers.writeAmz(to: &head)
    self.head = head
    paths = try Self.paths(request)
    subresources = try Self.subresources(query)
  }

  /// Whether a key makes this signature.
  func matches(_ signature: [UInt8], _ key: SigningKey) -> Bool {
    paths.contains { path in
      ConstantTime.equals(key.signature(of: head + path + subresources), signature)
    }
  }

  /// What the maker of a client compares with.
  func details(_ signature: [UInt8]) -> [SigningError.Detail] {
    let text = head + (paths.first ?? []) + subresources
    return [
      .init("StringToSign", String(decoding: text, as: UTF8.self)),
      .init("SignatureProvided", Base64.encode(signature)),
      .init("StringToSignBytes", SignedRequest.spaced(text)),
    ]
  }

  /// The path as it was sent and in its canonical form, with the bucket that the host names before.
  ///
  /// What names a bucket and no key is signed with a slash at its end by most, without by some.
  private static func paths(_ request: UnverifiedRequest) throws(SigningError) -> [[UInt8]] {
    var canonical: [UInt8] = []
    guard
      CanonicalEncoding.reencode(
        request.rawPath, keepingSlash: true, plusAsSpace: false, to: &canonical)
    else { throw SigningError(.invalidURI, "Couldn't parse the specified URI.") }
    let prefix = request.hostBucket.map { Array("/\($0)".utf8) } ?? []
    var paths: [[UInt8]] = []
    for path in [Array(request.rawPath), canonical] {
      let whole = prefix + (path.isEmpty ? [UInt8(ascii: "/")] : path)
      let isBucket = whole.count > 1 && !whole.dropFirst().contains(UInt8(ascii: "/"))
      for one in isBucket ? [whole + [UInt8(ascii: "/")], whole] : [whole]
      where !paths.contains(one) {
        paths.append(one)
      }
    }
    return paths
  }

  /// `?name=value&…` of the parameters that are signed, decoded and in the order of their names.
  private static func subresources(_ query: CanonicalQuery) throws(SigningError) -> [UInt8] {
    var found: [(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>, index: Int)] = []
    for (index, parameter) in query.parameters.enumerated() {
      let name = query.bytes[parameter.name]
      guard isSigned(name) else { continue }
      guard let value = CanonicalEncoding.decode(query.bytes[parameter.value]) else {
        throw SigningError(.invalidURI, "Couldn't parse the specified URI.")
      }
      found.append((name, value, index))
    }
    found.sort { left, right in
      left.name.elementsEqual(right.name)
        ? left.index < right.index : left.name.lexicographicallyPrecedes(right.name)
    }
    var output: [UInt8] = []
    for parameter in found {
      output.append(output.isEmpty ? UInt8(ascii: "?") : UInt8(ascii: "&"))
      output.append(contentsOf: parameter.name)
      if parameter.value.isEmpty { continue }
      output.append(UInt8(ascii: "="))
      output.append(contentsOf: parameter.value)
    }
    return output
  }

  /// Whether parameters of a name are signed.
  static func isSigned(_ name: ArraySlice<UInt8>) -> Bool {
    signedNames.contains { name.elementsEqual($0) }
  }

  /// The parameters that version 2 signs.
  private static let signedNames: [[UInt8]] = [
    "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory",
    "lifecycle", "location", "logging", "metrics", "notification", "object-lock", "partNumber",
    "policy", "replication", "requestPayment", "response-cache-control",
    "response-content-disposition", "response-content-encoding", "response-content-language",
    "response-content-type", "response-expires", "restore", "select", "select-type",
    "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning",
    "versions", "website",
  ].map { Array($0.utf8) }
}
