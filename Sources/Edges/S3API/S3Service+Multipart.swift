import Access
import Base
import Checksums
import HTTPServer
import Metadata
import ObjectEngine
import Runtime
import S3Wire

extension S3Service {
  func createMultipartUpload(_ call: S3Call) async throws -> HTTPResponse {
    let bucket = try await bucket(call)
    try Self.refuseUnsupported(call)
    let headers = try ObjectHeaders(call.headers)
    let checksums = try ChecksumHeaders(call.headers)
    let type = checksums.type ?? checksums.requestedAlgorithm?.defaultMultipartType
    if let algorithm = checksums.requestedAlgorithm, let type {
      guard algorithm.multipartTypes.contains(type) else {
        throw S3Error(
          .invalidRequest,
          "The \(type.rawValue) checksum type cannot be used with the \(algorithm.name) checksum "
            + "algorithm.")
      }
    } else if type != nil {
      throw S3Error(
        .invalidRequest,
        "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
    }
    let upload = try await engine.createUpload(
      bucket: bucket, key: try call.key(), attributes: ObjectAttributes(headers),
      storageClass: headers.storageClass, owner: call.identity.user.id,
      algorithm: checksums.requestedAlgorithm, type: type)
    var fields: [(name: String, value: String)] = [("x-amz-server-side-encryption", "AES256")]
    if let algorithm = checksums.requestedAlgorithm, let type {
      fields.append(("x-amz-checksum-algorithm", algorithm.name))
      fields.append(("x-amz-checksum-type", type.rawValue))
    }
    return Self.xml(
      S3Response.createMultipartUpload(
        bucket: bucket.name, key: upload.key, uploadID: upload.id.text),
      headers: fields)
  }

  func uploadPart(_ call: S3Call) async throws -> HTTPResponse {
    try Self.refuseUnsupported(call)
    let number = try Self.partNumber(call)
    let (bucket, upload) = try await upload(call)
    // Without an algorithm the object gets the default one's checksum, made of those of all parts,
    // and each part may bring whichever the client computes.
    let algorithm = ChecksumAlgorithm(rawValue: upload.checksumAlgorithm)
    let content = try UploadContent(
      call, keeping: algorithm ?? .crc64nvme, requiring: algorithm)
    let part = try await content.withSource { source in
      try await engine.putPart(
        number, of: upload, bucket: bucket, from: source, algorithms: content.algorithms
      ) { try content.check($0) }
    }
    var fields: [(name: String, value: String)] = [
      ("etag", "\"\(part.etag)\""), ("x-amz-server-side-encryption", "AES256"),
    ]
    if let checksum = content.confirmed ?? part.checksum?.checksum(partCount: 0) {
      fields.append((checksum.algorithm.headerName, checksum.description))
    }
    return HTTPResponse(status: 200, headers: fields)
  }

  func uploadPartCopy(_ call: S3Call) async throws -> HTTPResponse {
    try Self.refuseUnsupported(call)
    return try await whileReplaced { try await self.uploadPartCopyOnce(call) }
  }

  private func uploadPartCopyOnce(_ call: S3Call) async throws -> HTTPResponse {
    let number = try Self.partNumber(call)
    let source = try await copySource(call)
    let (bucket, upload) = try await upload(call)
    var range: Range<Int64> = 0..<source.size
    if let text = try call.headers.single("x-amz-copy-source-range") {
      let asked = try HTTPRange.copySource(text, size: Int(source.size))
      range = Int64(asked.lowerBound)..<Int64(asked.upperBound)
    }
    let algorithm = ChecksumAlgorithm(rawValue: upload.checksumAlgorithm) ?? .crc64nvme
    let part = try await engine.copyPart(
      number, of: upload, bucket: bucket, from: source, range, algorithms: [algorithm])
    return Self.xml(
      S3Response.copyPart(
        etag: part.etag, lastModified: part.lastModified,
        checksum: part.checksum?.checksum(partCount: 0)),
      headers: [("x-amz-server-side-encryption", "AES256")])
  }

  func abortMultipartUpload(_ call: S3Call) async throws -> HTTPResponse {
    let (bucket, upload) = try await upload(call)
    try Self.refuseGuards(call)
    CrashPoint.reach(.abortBeforeCommit)
    try await metadata.abort(upload.id, bucket: bucket.id, key: upload.key)
    CrashPoint.reach(.abortCommitted)
    return HTTPResponse(status: 204)
  }

  func listParts(_ call: S3Call) async throws -> HTTPResponse {
    let (bucket, upload) = try await upload(call)
    let pageSize = try Parameters.pageSize(call.query, "max-parts")
    let marker = try Parameters.partNumberMarker(call.query.text("part-number-marker"))
    var parts = try await metadata.parts(of: upload.id, after: marker, limit: pageSize + 1)
    // A page of nothing is no page that others follow: its marker would not move.
    let isCut = pageSize > 0 && parts.count > pageSize
    parts = Array(parts.prefix(pageSize))
    var owners = OwnerNames(metadata)
    return Self.xml(
      S3Response.listParts(
        bucket: bucket.name,
        upload: UploadRow(upload, owner: try await owners.owner(upload.owner)), marker: marker,
        pageSize: pageSize, next: isCut ? parts.last?.number ?? marker : nil,
        parts: parts.map {
          PartRow(
            number: $0.number, lastModified: $0.lastModified, etag: $0.etag, size: Int($0.size),
            checksum: $0.checksum?.checksum(partCount: 0))
        }))
  }

  /// The upload that a call names and its bucket. Throws `NoSuchUpload`.
  func upload(_ call: S3Call) async throws -> (Bucket, MultipartUpload) {
    let bucket = try await bucket(call)
    guard let id = OpaqueID(try call.query.text("uploadId") ?? ""),
      let upload = try await metadata.upload(id, bucket: bucket.id, key: try call.key())
    else { throw S3Error(.noSuchUpload) }
    return (bucket, upload)
  }

  private static func partNumber(_ call: S3Call) throws(S3Error) -> Int {
    guard let number = try Parameters.partNumber(call.query) else {
      throw .invalidArgument("This operation needs a partNumber", name: "partNumber")
    }
    return number
  }
}
