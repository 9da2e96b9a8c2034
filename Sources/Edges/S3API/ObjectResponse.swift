import Base
import Checksums
import Metadata
import ObjectEngine
import S3Wire

/// The headers that describe an object in an answer.
struct ObjectResponseHeaders {
  private(set) var fields: [(name: String, value: String)] = []

  init(_ version: ObjectVersion, overrides: [NamedValue] = []) {
    fields.reserveCapacity(16)
    add("last-modified", version.lastModified.httpDate)
    add("etag", "\"\(version.etag)\"")
    add("accept-ranges", "bytes")
    var hasType = false
    for field in version.attributes.headers {
      if overrides.contains(where: { $0.name == field.name }) { continue }
      hasType = hasType || field.name == "content-type"
      add(field.name, field.value)
    }
    for field in overrides {
      hasType = hasType || field.name == "content-type"
      add(field.name, field.value)
    }
    if !hasType { add("content-type", "binary/octet-stream") }
    for field in version.attributes.metadata { add("x-amz-meta-\(field.name)", field.value) }
    if version.nonce != nil { add("x-amz-version-id", version.versionID) }
    add("x-amz-server-side-encryption", "AES256")
    if version.storageClass != "STANDARD" { add("x-amz-storage-class", version.storageClass) }
    if !version.attributes.tags.isEmpty {
      add("x-amz-tagging-count", "\(version.attributes.tags.count)")
    }
  }

  mutating func add(_ name: String, _ value: String) { fields.append((name, value)) }

  /// The checksum headers, for a client that asked for them.
  mutating func addChecksum(of version: ObjectVersion) {
    guard let checksum = version.checksum?.checksum(partCount: version.partCount) else { return }
    addChecksum(checksum)
  }

  mutating func addChecksum(_ checksum: Checksum) {
    add(checksum.algorithm.headerName, checksum.description)
    add("x-amz-checksum-type", checksum.type.rawValue)
  }
}
