import Base
import HTTPServer
import Metadata
import ObjectEngine
import S3Wire

extension S3Service {
  func headObject(_ call: S3Call) async throws -> HTTPResponse {
    try await whileReplaced { try await self.headObjectOnce(call) }
  }

  private func headObjectOnce(_ call: S3Call) async throws -> HTTPResponse {
    let version = try await version(call, withContent: false)
    try Self.refuseCustomerKey(call)
    if let refusal = try conditional(version, call) { return refusal }
    let selection = try await select(version, call)
    let head = try responseHead(version, selection, call)
    return HTTPResponse(
      status: selection.isPartial ? 206 : 200, headers: head,
      body: .stream(length: selection.range.count) { _ in })
  }

  func getObject(_ call: S3Call) async throws -> HTTPResponse {
    try await whileReplaced { try await self.getObjectOnce(call) }
  }

  private func getObjectOnce(_ call: S3Call) async throws -> HTTPResponse {
    let version = try await version(call, withContent: true)
    try Self.refuseCustomerKey(call)
    if let refusal = try conditional(version, call) { return refusal }
    let selection = try await select(version, call)
    let head = try responseHead(version, selection, call)
    let status = selection.isPartial ? 206 : 200
    if selection.range.isEmpty {
      return HTTPResponse(status: status, headers: head, body: .bytes([]))
    }
    if version.extentCount == 0 {
      let content = try engine.inlineContent(version)
      let range = Int(selection.range.lowerBound)..<Int(selection.range.upperBound)
      let body = range.count == content.count ? content : Array(content[range])
      return HTTPResponse(status: status, headers: head, body: .bytes(body))
    }
    let read = try await engine.read(version, selection.range)
    return HTTPResponse(
      status: status, headers: head,
      body: .stream(length: selection.range.count) { writer in
        try await read.stream { buffer, range in try await writer.write(buffer, range) }
      })
  }

  /// Throws `InvalidRequest` for a read with a customer's key: no object is encrypted with one.
  static func refuseCustomerKey(_ call: S3Call) throws(S3Error) {
    for name in ["algorithm", "key", "key-md5"]
    where call.headers.contains("x-amz-server-side-encryption-customer-" + name) {
      throw S3Error(
        .invalidRequest, "The encryption parameters are not applicable to this object.")
    }
  }

  /// The answer when a condition of the request ends it: 304; throws 412.
  private func conditional(
    _ version: ObjectVersion, _ call: S3Call
  ) throws(S3Error) -> HTTPResponse? {
    let conditions = ReadConditions(call.headers)
    guard !conditions.isEmpty else { return nil }
    switch conditions.evaluate(etag: version.etag, lastModified: version.lastModified) {
    case .proceed: return nil
    case .preconditionFailed(let condition): throw .preconditionFailed(condition)
    case .notModified:
      let headers = ObjectResponseHeaders(version).fields.filter {
        ["etag", "last-modified", "cache-control", "expires", "x-amz-version-id"].contains($0.name)
      }
      return HTTPResponse(status: 304, headers: headers)
    }
  }

  private func responseHead(
    _ version: ObjectVersion, _ selection: ObjectSelection, _ call: S3Call
  ) throws -> [(name: String, value: String)] {
    var headers = ObjectResponseHeaders(
      version, overrides: try ResponseOverrides.parse(call.query))
    if selection.isPartial {
      let last = max(selection.range.lowerBound, selection.range.upperBound - 1)
      headers.add("content-range", "bytes \(selection.range.lowerBound)-\(last)/\(version.size)")
    }
    if selection.part != nil && version.partCount > 0 {
      headers.add("x-amz-mp-parts-count", "\(version.partCount)")
    }
    let asksForChecksum = call.headers.text("x-amz-checksum-mode")?.uppercased() == "ENABLED"
    // A checksum of the whole says nothing of a range.
    if asksForChecksum && (!selection.isPartial || selection.range.count == Int(version.size)) {
      headers.addChecksum(of: version)
    }
    return headers.fields
  }
}
