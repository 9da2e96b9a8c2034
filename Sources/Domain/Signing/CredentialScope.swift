/// What a signing key is good for: one day, one region, one service.
public struct CredentialScope: Hashable, Sendable {
  /// The day, as `YYYYMMDD`.
  public let date: String
  /// The region.
  public let region: String
  /// The service, `s3`.
  public let service: String

  /// Makes a scope.
  public init(date: String, region: String, service: String = "s3") {
    self.date = date
    self.region = region
    self.service = service
  }

  /// `date/region/service/aws4_request`.
  public var text: String { "\(date)/\(region)/\(service)/aws4_request" }
}

/// An access key id and the scope it signs in: `id/date/region/service/aws4_request`.
struct Credential {
  /// The longest access key id that is looked at.
  static let maximumKeyBytes = 128

  let accessKeyID: String
  let scope: CredentialScope

  init(_ raw: ArraySlice<UInt8>, presigned: Bool) throws(SigningError) {
    let example = "expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
    // The id comes first and may itself hold a slash; the other four never do.
    var parts = raw.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard raw.count <= 512, parts.count >= 5 else {
      throw .malformed(
        presigned: presigned, "\(Self.lead(presigned)) the Credential is mal-formed; \(example)")
    }
    let tail = parts.suffix(4).map { String(decoding: $0, as: UTF8.self) }
    parts.removeLast(4)
    let id = Array(parts.joined(separator: [UInt8(ascii: "/")]))
    guard !id.isEmpty, id.count <= Self.maximumKeyBytes,
      id.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else {
      throw .malformed(
        presigned: presigned, "\(Self.lead(presigned)) the Credential is mal-formed; \(example)")
    }
    accessKeyID = String(decoding: id, as: UTF8.self)
    guard tail[3] == "aws4_request" else {
      throw .malformed(
        presigned: presigned,
        "\(Self.lead(presigned)) incorrect terminal. This endpoint uses \"aws4_request\".")
    }
    scope = CredentialScope(date: tail[0], region: tail[1], service: tail[2])
  }

  /// Checks the scope against the server's own.
  func check(
    region: String, service: String, presigned: Bool
  ) throws(SigningError) {
    guard scope.date.utf8.count == 8, scope.date.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
    else {
      throw .malformed(
        presigned: presigned,
        "\(Self.lead(presigned)) incorrect date format. This date in the credential must be in "
          + "the format \"yyyyMMdd\".")
    }
    guard scope.service == service else {
      throw .malformed(
        presigned: presigned,
        "\(Self.lead(presigned)) incorrect service. This endpoint belongs to \"\(service)\".")
    }
    guard scope.region == region else {
      let wrong = String(scope.region.prefix(64))
      throw .malformed(
        presigned: presigned,
        "\(Self.lead(presigned)) the region '\(wrong)' is wrong; expecting '\(region)'",
        [.init("Region", region)])
    }
  }

  static func lead(_ presigned: Bool) -> String {
    presigned
      ? "Error parsing the X-Amz-Credential parameter;" : "The authorization header is malformed;"
  }
}
