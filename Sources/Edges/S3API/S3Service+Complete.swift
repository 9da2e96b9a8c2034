import Base
import Checksums
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire
import Signing

extension S3Service {
  func completeMultipartUpload(_ call: S3Call) async throws -> HTTPResponse {
    let bucket = try await bucket(call)
    let condition = try Self.writeCondition(call)
    let expected = try ChecksumHeaders(call.headers, isComplete: true).declared
    let body = try CompleteMultipartUploadBody(try await wholeDocument(call))
    let key = try call.key()
    guard let id = OpaqueID(try call.query.text("uploadId") ?? "") else {
      throw S3Error(.noSuchUpload)
    }
    guard let upload = try await metadata.upload(id, bucket: bucket.id, key: key) else {
      // Clients repeat a Complete whose answer was lost.
      guard
        let done = try await metadata.completedVersion(of: id, bucket: bucket.id, key: key),
        done.partCount == body.parts.count
      else { throw S3Error(.noSuchUpload) }
      return completeAnswer(
        call, bucket, etag: done.etag, versionID: done.nonce == nil ? nil : done.versionID,
        checksum: done.checksum?.checksum(partCount: done.partCount))
    }
    let result = try await engine.complete(
      upload,
      parts: body.parts.map { NamedPart(number: $0.number, etag: $0.etag, checksum: $0.checksum) },
      expected: expected, size: try Self.objectSize(call), condition: condition)
    return completeAnswer(
      call, bucket, etag: result.etag, versionID: result.version.versionID,
      checksum: result.checksum)
  }

  /// The body of a Complete: its checksum headers speak of the object, not of the body.
  private func wholeDocument(_ call: S3Call) async throws -> [UInt8] {
    guard case .required(let limit) = call.operation.body else { return [] }
    guard !call.signed.payload.isChunked else { return try await document(call) }
    guard let length = call.request.body.contentLength else {
      throw S3Error(.missingContentLength)
    }
    guard length <= limit else { throw S3Error(.maxMessageLengthExceeded) }
    let (bytes, digests) = try await engine.collect(
      PlainContent(call.request.body, length: length), limit: limit, algorithms: [.sha256])
    if case .digest(let digest) = call.signed.payload,
      digests.checksum(.sha256)?.bytes != digest.bytes
    {
      throw S3Error(.xAmzContentSHA256Mismatch)
    }
    return bytes
  }

  /// The size that the object is to have by `x-amz-mp-object-size`; nil when it was not sent.
  private static func objectSize(_ call: S3Call) throws(S3Error) -> Int64? {
    let name = "x-amz-mp-object-size"
    guard let text = try call.headers.single(name) else { return nil }
    guard (1...18).contains(text.utf8.count),
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let size = Int64(text)
    else { throw .invalidArgument("The header \(name) is not a size.", name: name, value: text) }
    return size
  }

  private func completeAnswer(
    _ call: S3Call, _ bucket: Bucket, etag: String, versionID: String?, checksum: Checksum?
  ) -> HTTPResponse {
    let scheme = call.request.isTLS ? "https" : "http"
    let host = String(decoding: call.request.head.authority, as: UTF8.self)
    let path = String(decoding: call.request.head.path, as: UTF8.self)
    var fields: [(name: String, value: String)] = [("x-amz-server-side-encryption", "AES256")]
    if let versionID { fields.append(("x-amz-version-id", versionID)) }
    return Self.xml(
      S3Response.completeMultipartUpload(
        location: "\(scheme)://\(host)\(path)", bucket: bucket.name,
        key: call.target.key?.bytes ?? [], etag: etag, checksum: checksum),
      headers: fields)
  }
}
