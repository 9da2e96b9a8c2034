import Access
import Base
import Metadata
import ObjectEngine
import S3Wire

/// What of an object a GET or HEAD asks for: all of it, a range, or a part.
struct ObjectSelection {
  /// The bytes.
  var range: Range<Int64>
  /// Whether it is less than the whole: 206.
  var isPartial: Bool
  /// The part number that was asked for.
  var part: Int?
}

extension S3Service {
  /// The current or named version of a call's key, for reading.
  ///
  /// Throws `NoSuchBucket`, `AccessDenied`, `NoSuchKey`, `NoSuchVersion`, and `MethodNotAllowed` for
  /// a delete marker that is named.
  func version(_ call: S3Call, withContent: Bool) async throws -> ObjectVersion {
    let versionID = try call.query.text("versionId")
    return try await version(
      bucket: call.bucketName(), key: call.key(), versionID: versionID, withContent: withContent,
      call)
  }

  /// The same for any bucket and key, such as those of a copy source.
  func version(
    bucket name: String, key: [UInt8], versionID: String?, withContent: Bool, _ call: S3Call,
    expectedOwner: ExpectedOwner = .ofBucket
  ) async throws -> ObjectVersion {
    if let versionID { try Self.checkVersionID(versionID) }
    let found = try await metadata.lookUp(
      bucket: name, tenant: call.identity.user.tenant, key: key, versionID: versionID,
      withContent: withContent)
    guard let bucket = found.bucket, bucket.purpose == .s3 else { throw Self.noSuchBucket(name) }
    try authorise(call, bucket, expectedOwner: expectedOwner)
    guard let version = found.version else {
      throw S3Error(
        versionID == nil ? .noSuchKey : .noSuchVersion,
        details: [.init("Key", String(decoding: key, as: UTF8.self))])
    }
    guard !version.isDeleteMarker else {
      throw S3Error(versionID == nil ? .noSuchKey : .methodNotAllowed)
    }
    return version
  }

  static func checkVersionID(_ text: String) throws(S3Error) {
    guard text == "null" || OpaqueID(text) != nil else {
      throw .invalidArgument("Invalid version id specified", name: "versionId", value: text)
    }
  }

  /// What a call selects of a version. Throws `InvalidRange`, `InvalidPartNumber`.
  func select(_ version: ObjectVersion, _ call: S3Call) async throws -> ObjectSelection {
    var range = call.headers.first("range").flatMap { HTTPRange($0) }
    if !Self.rangeHolds(version, call) { range = nil }
    if let text = try call.query.text("partNumber") {
      guard range == nil else {
        throw S3Error(.invalidRequest, "Cannot specify both Range header and partNumber")
      }
      guard let number = Int(text), (1...10_000).contains(number) else {
        throw S3Error.invalidArgument(
          "Part number must be an integer between 1 and 10000, inclusive", name: "partNumber",
          value: text)
      }
      return try await select(version, part: number)
    }
    guard let range, let size = Int(exactly: version.size) else {
      return ObjectSelection(range: 0..<version.size, isPartial: false)
    }
    let resolved = try range.resolve(size: size)
    return ObjectSelection(
      range: Int64(resolved.lowerBound)..<Int64(resolved.upperBound), isPartial: true)
  }

  /// Whether a range still means what the client has of the object: what `If-Range` says
  /// (RFC 9110 §13.1.5). Only the very same tag or date holds; anything else asks for the whole.
  private static func rangeHolds(_ version: ObjectVersion, _ call: S3Call) -> Bool {
    guard let text = call.headers.text("if-range") else { return true }
    if text == "\"\(version.etag)\"" { return true }
    return Timestamp(httpDate: text).map { $0.seconds == version.lastModified.seconds } ?? false
  }

  private func select(_ version: ObjectVersion, part: Int) async throws -> ObjectSelection {
    guard version.partCount > 0 else {
      guard part == 1 else { throw S3Error(.invalidPartNumber) }
      // No byte range describes an empty part.
      return ObjectSelection(range: 0..<version.size, isPartial: version.size > 0, part: 1)
    }
    guard let link = try await metadata.extent(of: version.number, part: part) else {
      // A version without any extent was replaced since it was looked up.
      let isThere = try await !metadata.extents(of: version.number, in: 0..<1).isEmpty
      if version.size > 0 && !isThere { throw EngineError.metadata(.noSuchVersion) }
      throw S3Error(.invalidPartNumber)
    }
    return ObjectSelection(
      range: link.offset..<link.offset + link.length, isPartial: true, part: part)
  }
}
