import Base
import Checksums
import Metadata
import Runtime
import Sealing

extension ObjectEngine {
  /// What the chunks of an object say about it, so that they suffice to find it again.
  func descriptor(
    _ request: PutRequest, version: OpaqueID, digests: ContentDigests
  ) -> ExtentDescriptor {
    var result = ExtentDescriptor(
      kind: request.bucket.purpose == .files ? .file : .object,
      bucketID: Int(request.bucket.id.number), bucketName: request.bucket.name, key: request.key,
      tenantID: Int(request.bucket.tenant), ownerID: Int(request.owner.number),
      sequence: Int(version.number.rawValue), lastModified: clock.now,
      byteCount: Int(digests.size))
    result.versionID = version.text
    result.etag = Hex.encode(digests.md5)
    result.storageClass = request.storageClass
    result.headers = request.attributes.headers.map(ExtentDescriptor.Field.init)
    result.userMetadata = request.attributes.metadata.map(ExtentDescriptor.Field.init)
    result.checksums = digests.checksums.map(ExtentDescriptor.Checksum.init)
    result.plaintextSHA256 = digests.checksum(.sha256).flatMap { SHA256Digest($0.bytes) }
    return result
  }

  /// What the chunks of a part say about it.
  func descriptor(
    _ upload: MultipartUpload, bucket: Bucket, part: Int, digests: ContentDigests
  ) -> ExtentDescriptor {
    var result = ExtentDescriptor(
      kind: .part, bucketID: Int(bucket.id.number), bucketName: bucket.name, key: upload.key,
      tenantID: Int(bucket.tenant), ownerID: Int(upload.owner.number),
      sequence: Int(upload.id.number.rawValue), lastModified: clock.now,
      byteCount: Int(digests.size))
    result.uploadID = upload.id.text
    result.partNumber = part
    result.etag = Hex.encode(digests.md5)
    result.storageClass = upload.storageClass
    result.headers = upload.attributes.headers.map(ExtentDescriptor.Field.init)
    result.userMetadata = upload.attributes.metadata.map(ExtentDescriptor.Field.init)
    result.checksums = digests.checksums.map(ExtentDescriptor.Checksum.init)
    return result
  }
}

extension ExtentDescriptor.Field {
  init(_ field: ObjectAttributes.Field) {
    self.init(name: field.name, value: field.value)
  }
}

extension ExtentDescriptor.Checksum {
  init(_ checksum: Checksum) {
    self.init(
      algorithm: checksum.algorithm.rawValue, partCount: checksum.partCount ?? 0,
      value: checksum.bytes)
  }
}
