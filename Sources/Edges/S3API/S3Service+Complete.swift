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
    let checksums = try ChecksumHeaders(call.headers, isComplete: true)
    let body = try CompleteMultipartUploadBody(try await wholeDocument(call))
    let key = try call.key()
    guard let id = OpaqueID(try call.query.text("uploadId") ?? "") else {
      throw S3Error(.noSuchUpload)
    }
    let size = try Self.expectedSize(call)
    guard let upload = try await metadata.upload(id, bucket: bucket.id, key: key) else {
      guard let answer = try await repeated(id, body, bucket, key, call) else {
        throw S3Error(.noSuchUpload)
      }
      return answer
    }
    try Self.check(checksums.type, body.parts, of: upload)
    do {
      let result = try await engine.complete(
        upload,
        parts: body.parts.map {
          NamedPart(number: $0.number, etag: $0.etag, checksum: $0.checksum)
        },
        expected: checksums.declared, condition: condition
      ) { try Self.compare(size, $0) }
      return completeAnswer(
        call, bucket, etag: result.etag, versionID: result.version.versionID,
        checksum: result.checksum)
    } catch EngineError.metadata(let error) {
      // The same request may have come twice, and the other was the first to commit.
      if let answer = try await repeated(id, body, bucket, key, call) { return answer }
      throw error
    }
  }

  /// Throws `InvalidRequest` unless a Complete speaks of the kind of checksum that its upload was
  /// created with, and names each part's where the object's is made of those.
  private static func check(
    _ type: ChecksumType?, _ parts: [CompleteMultipartUploadBody.Part], of upload: MultipartUpload
  ) throws(S3Error) {
    let own: ChecksumType = upload.checksumIsComposite ? .composite : .fullObject
    guard type == nil || type == own else {
      throw S3Error(
        .invalidRequest,
        "The upload was created using the \(own.rawValue) checksum mode. The complete request must "
          + "use the same checksum mode.")
    }
    guard own == .composite,
      let algorithm = ChecksumAlgorithm(rawValue: upload.checksumAlgorithm),
      let bare = parts.first(where: { $0.checksum?.algorithm != algorithm })
    else { return }
    throw S3Error(
      .invalidRequest,
      "The upload was created using a \(algorithm.name.lowercased()) checksum. The complete "
        + "request must include the checksum for each part. It was missing for part "
        + "\(bare.number) in the request.")
  }

  /// The answer to a Complete that was carried out already, nil when there was none: clients
  /// repeat one whose answer was lost.
  private func repeated(
    _ id: OpaqueID, _ body: CompleteMultipartUploadBody, _ bucket: Bucket, _ key: [UInt8],
    _ call: S3Call
  ) async throws -> HTTPResponse? {
    let digests = body.parts.compactMap { Hex.decode($0.etag) }.filter { $0.count == 16 }
    guard digests.count == body.parts.count,
      let done = try await metadata.completedVersion(of: id, bucket: bucket.id, key: key),
      done.etag == ETag.multipart(partMD5s: digests)
    else { return nil }
    try await metadata.confirmLogged(done.number)
    return completeAnswer(
      call, bucket, etag: done.etag, versionID: done.nonce == nil ? nil : done.versionID,
      checksum: done.checksum?.checksum(partCount: done.partCount))
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

  /// The size of the whole object that the client expects, in `x-amz-mp-object-size`.
  private static func expectedSize(_ call: S3Call) throws(S3Error) -> Int64? {
    guard let text = try call.headers.single("x-amz-mp-object-size") else { return nil }
    guard let size = Int64(text), size >= 0 else {
      throw .invalidArgument(
        "The header x-amz-mp-object-size is not a size.", name: "x-amz-mp-object-size",
        value: text)
    }
    return size
  }

  private static func compare(_ expected: Int64?, _ size: Int64) throws(S3Error) {
    guard let expected, expected != size else { return }
    throw S3Error(
      .invalidRequest,
      "The provided 'x-amz-mp-object-size' header value \(expected) does not match what was "
        + "computed: \(size)")
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
