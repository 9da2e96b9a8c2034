import Base
import Metadata

/// What the store should do, in memory and as simply as it can be said.
struct ReferenceStore {
  struct Version: Equatable {
    var number: VersionNumber
    var nonce: UInt64?
    var isMarker: Bool
    var size: Int64
    var etag: String
    var modified: Int64
    var extents: [Extent]
    var isInline: Bool
  }

  struct Upload {
    var bucket: BucketID
    var key: [UInt8]
    var parts: [Int: (extent: Extent, etag: String)] = [:]
  }

  /// Versions of each key, oldest first.
  var keys: [BucketID: [[UInt8]: [Version]]] = [:]
  var versioning: [BucketID: Bucket.Versioning] = [:]
  var uploads: [OpaqueID: Upload] = [:]
  var tombstones: Set<ExtentID> = []

  func current(_ bucket: BucketID, _ key: [UInt8]) -> Version? { keys[bucket]?[key]?.last }

  func live(_ bucket: BucketID, _ key: [UInt8]) -> Version? {
    current(bucket, key).flatMap { $0.isMarker ? nil : $0 }
  }

  func refusal(
    _ condition: WriteCondition, _ current: Version?
  ) -> MetadataError? {
    let live = current.flatMap { $0.isMarker ? nil : $0 }
    switch condition {
    case .none: return nil
    case .absent: return live == nil ? nil : .preconditionFailed
    case .exists: return live == nil ? .noSuchKey : nil
    case .matches(let etag):
      guard let live else { return .noSuchKey }
      return live.etag == etag ? nil : .preconditionFailed
    case .version(let number): return current?.number == number ? nil : .preconditionFailed
    }
  }

  /// Makes a version current, as the bucket keeps versions.
  mutating func put(_ bucket: BucketID, _ key: [UInt8], _ version: Version, now: Int64) -> Version {
    var new = version
    let before = current(bucket, key)
    new.modified = before.map { max(now, $0.modified + 1) } ?? now
    if versioning[bucket] == .enabled {
      keys[bucket]?[key, default: []].append(new)
    } else {
      new.nonce = nil
      for old in keys[bucket]?[key] ?? [] where old.nonce == nil { bury(old) }
      keys[bucket]?[key]?.removeAll { $0.nonce == nil }
      keys[bucket]?[key, default: []].append(new)
    }
    return new
  }

  mutating func remove(_ bucket: BucketID, _ key: [UInt8], where match: (Version) -> Bool)
    -> Version?
  {
    guard let index = keys[bucket]?[key]?.firstIndex(where: match),
      let removed = keys[bucket]?[key]?.remove(at: index)
    else { return nil }
    if keys[bucket]?[key]?.isEmpty == true { keys[bucket]?[key] = nil }
    bury(removed)
    return removed
  }

  mutating func bury(_ version: Version) {
    for extent in version.extents { tombstones.insert(extent.id) }
  }

  /// All rows of a list, by the definition and not by skipping.
  func list(_ bucket: BucketID, prefix: [UInt8], delimiter: [UInt8], after: [UInt8]) -> [[UInt8]] {
    var names: Set<[UInt8]> = []
    for (key, versions) in keys[bucket] ?? [:] {
      guard let last = versions.last, !last.isMarker, key.starts(with: prefix) else { continue }
      names.insert(Self.name(of: key, prefix: prefix, delimiter: delimiter))
    }
    return names.filter { after.lexicographicallyPrecedes($0) }
      .sorted { $0.lexicographicallyPrecedes($1) }
  }

  static func name(of key: [UInt8], prefix: [UInt8], delimiter: [UInt8]) -> [UInt8] {
    guard !delimiter.isEmpty, key.count >= prefix.count + delimiter.count else { return key }
    for start in prefix.count...(key.count - delimiter.count)
    where Array(key[start..<start + delimiter.count]) == delimiter {
      return Array(key[..<(start + delimiter.count)])
    }
    return key
  }

  var usage: [BucketID: Usage] {
    keys.mapValues { keys in
      let live = keys.values.compactMap(\.last).filter { !$0.isMarker }
      return Usage(objects: Int64(live.count), bytes: live.reduce(0) { $0 + $1.size })
    }
  }

  var versionCount: Int { keys.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.count } } }

  var extentCount: Int {
    keys.values.reduce(0) { sum, keys in
      sum + keys.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.extents.count } }
    } + uploads.values.reduce(0) { $0 + $1.parts.count }
  }

  var inlineCount: Int {
    keys.values.reduce(0) { sum, keys in
      sum + keys.values.reduce(0) { $0 + $1.count { $0.isInline } }
    }
  }
}
