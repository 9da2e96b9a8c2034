import Base
import Checksums
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire

extension S3Service {
  func getObjectAttributes(_ call: S3Call) async throws -> HTTPResponse {
    let request = try ObjectAttributesRequest(call.headers)
    let version = try await version(call, withContent: false)
    try Self.refuseCustomerKey(call)
    var answer = S3Response.Attributes()
    if request.attributes.contains(.etag) { answer.etag = version.etag }
    if request.attributes.contains(.checksum) {
      answer.checksum = version.checksum?.checksum(partCount: version.partCount)
    }
    if request.attributes.contains(.storageClass) { answer.storageClass = version.storageClass }
    if request.attributes.contains(.size) { answer.size = Int(version.size) }
    if request.attributes.contains(.parts), version.partCount > 0 {
      answer.parts = try await partPage(version, request)
    }
    var fields: [(name: String, value: String)] = [
      ("last-modified", version.lastModified.httpDate)
    ]
    if version.nonce != nil { fields.append(("x-amz-version-id", version.versionID)) }
    return Self.xml(S3Response.objectAttributes(answer), headers: fields)
  }

  private func partPage(
    _ version: ObjectVersion, _ request: ObjectAttributesRequest
  ) async throws -> S3Response.PartPage {
    let links = try await metadata.extents(of: version.number, in: 0..<version.size)
    let behind = links.filter { $0.partNumber > request.marker }
    let rows = behind.prefix(request.pageSize).map {
      PartRow(
        number: $0.partNumber, lastModified: version.lastModified, etag: "", size: Int($0.length),
        checksum: $0.checksum?.checksum(partCount: 0))
    }
    return S3Response.PartPage(
      total: version.partCount, marker: request.marker, pageSize: request.pageSize,
      next: behind.count > rows.count ? rows.last?.number : nil, parts: rows)
  }
}
