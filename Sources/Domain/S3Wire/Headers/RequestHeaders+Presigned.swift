internal import Base

extension RequestHeaders {
  /// These headers and those that a presigned URL carries in its query.
  ///
  /// SDKs move `x-amz-…` headers of a presigned request into parameters, where the signature covers
  /// them; S3 reads them as headers. A header that was sent as one wins. Authentication's own
  /// parameters are none, and neither are checksums: S3 passes over those, as SDKs compute them
  /// over an empty body when they make the URL. Signatures of version 2 cover `content-type` and
  /// `content-md5` in the query too (`includingContentFields`).
  ///
  /// Precondition: the signature over the query was verified.
  public func adding(
    presigned query: RequestQuery, includingContentFields: Bool = false
  ) -> RequestHeaders {
    var all = fields
    for parameter in query.parameters {
      let name = Self.text(parameter.name).lowercased()
      let isContentField = name == "content-type" || name == "content-md5"
      guard name.hasPrefix("x-amz-") || (isContentField && includingContentFields),
        !Self.ignored.contains(name), !name.hasPrefix("x-amz-checksum-"), !contains(name)
      else { continue }
      all.append(Field(name: Array(name.utf8)[...], value: parameter.value.trimmingBlanks()))
    }
    return RequestHeaders(all)
  }

  private static let ignored: Set<String> = [
    "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
    "x-amz-signature", "x-amz-security-token", "x-amz-content-sha256",
    "x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length",
  ]
}
