import Access
import Base
import Checksums
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire

extension S3Service {
  func copyObject(_ call: S3Call) async throws -> HTTPResponse {
    try Self.refuseUnsupported(call)
    return try await whileReplaced { try await self.copyOnce(call) }
  }

  /// Runs `body` again when the object that it reads was replaced between two look-ups: the new
  /// one is what is asked for. Throws `ServiceUnavailable` when that happens again and again.
  func whileReplaced<R>(_ body: () async throws -> R) async throws -> R {
    for _ in 0..<Self.maximumReplacements {
      do {
        return try await body()
      } catch EngineError.metadata(.noSuchVersion) {
        continue
      }
    }
    throw S3Error(.serviceUnavailable)
  }

  private static let maximumReplacements = 16

  private func copyOnce(_ call: S3Call) async throws -> HTTPResponse {
    let source = try await copySource(call)
    guard source.size <= engine.configuration.maximumPutSize else {
      throw S3Error(
        .invalidRequest,
        "The specified copy source is larger than the maximum allowable size for a copy source: "
          + "\(engine.configuration.maximumPutSize)")
    }
    let headers = try ObjectHeaders(call.headers)
    let checksums = try ChecksumHeaders(call.headers)
    let condition = try Self.writeCondition(call)
    let bucket = try await bucket(call)
    let key = try call.key()
    let replacesMetadata = try Self.directive(call, "x-amz-metadata-directive")
    let replacesTags = try Self.directive(call, "x-amz-tagging-directive")
    let attributes = Self.attributes(
      source.attributes, ObjectAttributes(headers), replacesMetadata: replacesMetadata,
      replacesTags: replacesTags)
    let storageClass =
      call.headers.contains("x-amz-storage-class") ? headers.storageClass : "STANDARD"
    let isSelf = source.bucket == bucket.id && source.key == key && source.nonce == nil
    let changes = [
      "x-amz-storage-class", Self.redirectName, "x-amz-server-side-encryption",
    ].contains { call.headers.contains($0) }
    if isSelf && !replacesMetadata && !changes && checksums.requestedAlgorithm == nil {
      throw S3Error(
        .invalidRequest,
        "This copy request is illegal because it is trying to copy an object to itself without "
          + "changing the object's metadata, storage class, website redirect location or "
          + "encryption attributes.")
    }
    if isSelf && checksums.requestedAlgorithm == nil && condition == .none {
      let version = try await replaceAttributes(
        of: source, attributes: attributes, storageClass: storageClass)
      return copyAnswer(
        etag: source.etag, version, source.checksum?.checksum(partCount: source.partCount))
    }
    let result = try await engine.copy(
      source,
      to: PutRequest(
        bucket: bucket, key: key, attributes: attributes, storageClass: storageClass,
        owner: call.identity.user.id, condition: condition,
        algorithms: [Self.algorithm(checksums, source)]))
    return copyAnswer(etag: result.etag, result.version, result.checksum)
  }

  private static let redirectName = "x-amz-website-redirect-location"

  /// What a copy carries: the source's, or what came with the request where that is to replace it.
  private static func attributes(
    _ source: ObjectAttributes, _ given: ObjectAttributes, replacesMetadata: Bool,
    replacesTags: Bool
  ) -> ObjectAttributes {
    var attributes = source
    if replacesMetadata {
      attributes.headers = given.headers
      attributes.metadata = given.metadata
    } else {
      // Where a website sends its readers is each object's own and never copied.
      attributes.headers.removeAll { $0.name == redirectName }
      attributes.headers += given.headers.filter { $0.name == redirectName }
    }
    if replacesTags { attributes.tags = given.tags }
    return attributes
  }

  private func replaceAttributes(
    of source: ObjectVersion, attributes: ObjectAttributes, storageClass: String
  ) async throws -> CommittedVersion {
    do {
      return try await engine.replaceAttributes(
        of: source, attributes: attributes, storageClass: storageClass)
    } catch EngineError.metadata(.preconditionFailed) {
      // Nobody asked for a condition: the object was replaced meanwhile.
      throw EngineError.metadata(.noSuchVersion)
    }
  }

  /// The version that `x-amz-copy-source` names, if its conditions hold.
  func copySource(_ call: S3Call) async throws -> ObjectVersion {
    guard let raw = call.headers.first("x-amz-copy-source") else {
      throw S3Error.invalidArgument(
        "Copy Source must mention the source", name: "x-amz-copy-source")
    }
    let source = try CopySource(raw)
    let version = try await version(
      bucket: source.bucket.text, key: source.key.bytes, versionID: source.versionID,
      withContent: true, call, expectedOwner: .ofSource)
    try ReadConditions(copySource: call.headers).checkCopySource(
      etag: version.etag, lastModified: version.lastModified)
    return version
  }

  private func copyAnswer(
    etag: String, _ version: CommittedVersion, _ checksum: Checksum?
  ) -> HTTPResponse {
    var fields: [(name: String, value: String)] = [("x-amz-server-side-encryption", "AES256")]
    if let id = version.versionID { fields.append(("x-amz-version-id", id)) }
    return Self.xml(
      S3Response.copyObject(etag: etag, lastModified: version.lastModified, checksum: checksum),
      headers: fields)
  }

  /// Whether a directive says REPLACE rather than COPY, in just this spelling.
  private static func directive(_ call: S3Call, _ name: String) throws(S3Error) -> Bool {
    switch try call.headers.single(name) {
    case nil, "COPY": return false
    case "REPLACE": return true
    case .some(let value):
      let kind = name == "x-amz-tagging-directive" ? "tagging" : "metadata"
      throw .invalidArgument("Unknown \(kind) directive.", name: name, value: value)
    }
  }

  /// The algorithm of a copy: what is asked for, else that of the source, else the default.
  private static func algorithm(
    _ checksums: ChecksumHeaders, _ source: ObjectVersion
  ) -> ChecksumAlgorithm {
    checksums.requestedAlgorithm
      ?? source.checksum.flatMap { ChecksumAlgorithm(rawValue: $0.algorithm) } ?? .crc64nvme
  }
}
