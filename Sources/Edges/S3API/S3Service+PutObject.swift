import Access
import Base
import Checksums
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire
import Signing

extension S3Service {
  func putObject(_ call: S3Call) async throws -> HTTPResponse {
    try await withWritableBucket(call) { try await putObject(call, in: $0) }
  }

  private func putObject(_ call: S3Call, in bucket: Bucket) async throws -> HTTPResponse {
    try Self.refuseUnsupported(call)
    let headers = try ObjectHeaders(call.headers)
    let condition = try Self.writeCondition(call)
    let upload = try UploadContent(call)
    let request = PutRequest(
      bucket: bucket, key: try call.key(), attributes: ObjectAttributes(headers),
      storageClass: headers.storageClass, owner: call.identity.user.id, condition: condition,
      algorithms: upload.algorithms)
    let result = try await upload.withSource { source in
      try await engine.put(request, from: source) { try upload.check($0) }
    }
    var fields: [(name: String, value: String)] = [
      ("etag", "\"\(result.etag)\""), ("x-amz-server-side-encryption", "AES256"),
    ]
    if let checksum = result.checksum {
      fields.append((checksum.algorithm.headerName, checksum.description))
      fields.append(("x-amz-checksum-type", checksum.type.rawValue))
    }
    if let id = result.version.versionID { fields.append(("x-amz-version-id", id)) }
    return HTTPResponse(status: 200, headers: fields)
  }

  /// Throws for headers that ask for what is not done: never a wrong success.
  static func refuseUnsupported(_ call: S3Call) throws(S3Error) {
    let headers = call.headers
    if let encryption = headers.text("x-amz-server-side-encryption"), encryption != "AES256" {
      throw encryption.hasPrefix("aws:")
        ? .notImplemented(header: "x-amz-server-side-encryption")
        : S3Error(.invalidEncryptionAlgorithmError)
    }
    for name in [
      "x-amz-server-side-encryption-customer-algorithm",
      "x-amz-server-side-encryption-customer-key",
      "x-amz-copy-source-server-side-encryption-customer-algorithm", "x-amz-write-offset-bytes",
    ] where headers.contains(name) {
      throw .notImplemented(header: name)
    }
    for name in [
      "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
      "x-amz-object-lock-legal-hold",
    ] where headers.contains(name) {
      throw S3Error(.invalidRequest, "Bucket is missing Object Lock Configuration")
    }
    try refuseACL(call)
  }

  /// Throws unless the request asks for no access control list, or for the one that all have.
  static func refuseACL(_ call: S3Call) throws(S3Error) {
    if let acl = call.headers.text("x-amz-acl"),
      acl != "private" && acl != "bucket-owner-full-control"
    {
      throw S3Error(.accessControlListNotSupported)
    }
    for field in call.headers.fields where field.name.count > 12 {
      if String(decoding: field.name.prefix(12), as: UTF8.self).lowercased() == "x-amz-grant-" {
        throw S3Error(.accessControlListNotSupported)
      }
    }
  }
}

extension ObjectAttributes {
  /// What an object carries of the headers that came with it.
  init(_ headers: ObjectHeaders) {
    self.init(
      headers: headers.content.map { Field(name: $0.name, value: $0.value) },
      metadata: headers.metadata.map { Field(name: $0.name, value: $0.value) },
      tags: headers.tags.map { Field(name: $0.name, value: $0.value) })
  }
}
