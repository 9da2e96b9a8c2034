internal import Crypto

/// The canonical request and string to sign of SigV4, from the bytes on the wire.
enum CanonicalRequest {
  /// The canonical request.
  ///
  /// - Parameters:
  ///   - signedHeaders: lower-case names in the order in which they were signed.
  ///   - payloadHash: the last line, as the client spelled it.
  static func make(
    _ request: UnverifiedRequest, query: CanonicalQuery, presigned: Bool,
    signedHeaders: SignedHeaders, payloadHash: some Collection<UInt8>
  ) throws(SigningError) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(1024)
    output.append(contentsOf: request.method.utf8)
    output.append(0x0a)
    if request.rawPath.isEmpty {
      output.append(UInt8(ascii: "/"))
    } else if !CanonicalEncoding.reencode(
      request.rawPath, keepingSlash: true, plusAsSpace: false, to: &output)
    {
      throw SigningError(.invalidURI, "Couldn't parse the specified URI.")
    }
    output.append(0x0a)
    query.write(to: &output, excluding: presigned ? "X-Amz-Signature" : nil)
    output.append(0x0a)
    for name in signedHeaders.names {
      output.append(contentsOf: name)
      output.append(UInt8(ascii: ":"))
      appendValues(of: name, in: request, to: &output)
      output.append(0x0a)
    }
    output.append(0x0a)
    output.append(contentsOf: signedHeaders.raw)
    output.append(0x0a)
    output.append(contentsOf: payloadHash)
    return output
  }

  /// The string to sign of a canonical request.
  static func stringToSign(
    _ canonicalRequest: [UInt8], time: String, scope: CredentialScope
  ) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(160)
    output.append(contentsOf: "AWS4-HMAC-SHA256\n".utf8)
    output.append(contentsOf: time.utf8)
    output.append(0x0a)
    output.append(contentsOf: scope.text.utf8)
    output.append(0x0a)
    CanonicalEncoding.appendHex(Digest.hash(.sha256, canonicalRequest), to: &output)
    return output
  }

  /// Appends the values of all fields of a name: joined by commas, runs of blanks folded to one.
  private static func appendValues(
    of name: ArraySlice<UInt8>, in request: UnverifiedRequest, to output: inout [UInt8]
  ) {
    var isFirst = true
    for field in request.fields where UnverifiedRequest.matches(field.name, name) {
      if !isFirst { output.append(UInt8(ascii: ",")) }
      isFirst = false
      var blank = false
      var wrote = false
      for byte in field.value {
        if byte == 0x20 || byte == 0x09 {
          blank = wrote
        } else {
          if blank { output.append(0x20) }
          blank = false
          wrote = true
          output.append(byte)
        }
      }
    }
  }
}

/// The list of header names that a signature covers.
struct SignedHeaders {
  /// The most names that are looked at.
  static let maximumCount = 128

  /// As the client sent it: names with semicolons between.
  let raw: ArraySlice<UInt8>
  let names: [ArraySlice<UInt8>]

  init(_ raw: ArraySlice<UInt8>, presigned: Bool) throws(SigningError) {
    self.raw = raw
    names = raw.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
    var seen: Set<ArraySlice<UInt8>> = []
    guard names.count <= Self.maximumCount,
      names.allSatisfy({ Self.isName($0) && seen.insert($0).inserted })
    else {
      throw .malformed(
        presigned: presigned,
        "The SignedHeaders must be distinct lower-case names, separated by semicolons.")
    }
  }

  func contains(_ name: ArraySlice<UInt8>) -> Bool {
    names.contains { UnverifiedRequest.matches(name, $0) }
  }

  /// Checks that the host and whatever header could change what the request does is signed.
  func check(_ request: UnverifiedRequest) throws(SigningError) {
    var missing: [String] = []
    if !names.contains(where: { $0.elementsEqual("host".utf8) }) { missing.append("host") }
    for field in request.fields where Self.mustBeSigned(field.name) && !contains(field.name) {
      missing.append(String(decoding: field.name, as: UTF8.self).lowercased())
    }
    guard missing.isEmpty else {
      throw SigningError(
        .accessDenied, "There were headers present in the request which were not signed",
        details: [.init("HeadersNotSigned", missing.prefix(16).joined(separator: ", "))])
    }
  }

  private static func mustBeSigned(_ name: ArraySlice<UInt8>) -> Bool {
    guard name.count > 6, UnverifiedRequest.matches(name.prefix(6), "x-amz-".utf8) else {
      return false
    }
    // A content delivery network adds it behind the signer's back, and nothing here reads it.
    return !UnverifiedRequest.matches(name, "x-amz-cf-id".utf8)
  }

  private static func isName(_ name: ArraySlice<UInt8>) -> Bool {
    !name.isEmpty
      && name.allSatisfy {
        ($0 > 0x20 && $0 < 0x7f) && !($0 >= 0x41 && $0 <= 0x5a) && $0 != 0x3a && $0 != 0x2c
      }
  }
}
