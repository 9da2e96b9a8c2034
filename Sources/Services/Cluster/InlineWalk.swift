import Metadata
import ObjectEngine
import Telemetry

/// Opens every current object that is kept in the metadata, page by page.
struct InlineWalk: Sendable {
  struct Position: Sendable {
    var tenant = 0
    var bucketName = ""
    var bucket: Bucket?
    var key: [UInt8] = []
  }

  /// Keys of one step.
  static let pageSize = 256
  /// Objects longer than this are never kept in the metadata.
  static let longest: Int64 = 1 << 20

  let engine: ObjectEngine
  let tenants: [Int64]
  let log: Log

  /// Opens the objects of one page; true at the end.
  func advance(_ position: inout Position, _ report: inout ScrubReport) async throws -> Bool {
    guard tenants.indices.contains(position.tenant) else { return true }
    let tenant = tenants[position.tenant]
    guard let bucket = position.bucket else {
      position.bucket = try await engine.metadata.listBuckets(
        tenant: tenant, owner: nil, purpose: nil, prefix: "", after: position.bucketName, limit: 1
      ).first
      position.key = []
      if let next = position.bucket {
        position.bucketName = next.name
      } else {
        position.tenant += 1
        position.bucketName = ""
      }
      return false
    }
    let page: ListPage
    do {
      page = try await engine.metadata.list(
        ListRequest(bucket: bucket.id, after: position.key, limit: Self.pageSize))
    } catch MetadataError.noSuchBucket {
      position.bucket = nil
      return false
    }
    for case .object(let object) in page.rows where object.size <= Self.longest {
      try await open(object.key, of: bucket, &report)
    }
    if let next = page.next { position.key = next } else { position.bucket = nil }
    return false
  }

  private func open(
    _ key: [UInt8], of bucket: Bucket, _ report: inout ScrubReport
  ) async throws {
    let found = try await engine.metadata.lookUp(
      bucket: bucket.name, tenant: bucket.tenant, key: key, versionID: nil, withContent: true)
    guard let version = found.version, version.inline != nil else { return }
    report.inlineObjects += 1
    do {
      _ = try engine.inlineContent(version)
    } catch {
      report.corruptInlineObjects += 1
      log.error(
        "an object kept in the metadata does not open",
        [("bucket", "\(bucket.id.number)"), ("version", "\(version.number.rawValue)")])
    }
  }
}
