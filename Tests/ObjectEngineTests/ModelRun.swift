import Base
import Checksums
import Foundation
import Metadata
import ObjectEngine
import Runtime
import Testing

/// One random sequence of requests, each carried out by the engine and by the reference.
final class ModelRun {
  let random: SeededRandom
  var running: ModelNode?
  var reference = ReferenceS3()
  var buckets: [String: Bucket] = [:]
  var uploads: [Int: MultipartUpload] = [:]
  var nextUpload = 1
  var modified: [String: Timestamp] = [:]
  /// The two stores that this sequence may take away.
  let fragile: [Int]
  var log: [String] = []
  let owner = UserID(1)

  static let bucketNames = ["alpha", "beta"]
  static let pattern = SeededRandom(seed: 99).bytes(1 << 16)

  init(seed: UInt64) async throws {
    random = SeededRandom(seed: seed)
    running = try await ModelNode.open()
    let first = Int(random.next() % 6)
    fragile = [first, (first + 1 + Int(random.next() % 5)) % 6]
    for name in Self.bucketNames { try await createBucket(name) }
  }

  var node: ModelNode {
    get throws { try #require(running) }
  }

  /// What was done, for a failure's message.
  var story: String { log.suffix(12).joined(separator: "\n") }

  // MARK: Random choices

  func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

  func key() -> [UInt8] {
    let keys = [
      "a", "a/b", "a/b/c", "a/c", "a//b", "b", "b/../c", "dir/", "dir/x", "dir/y/z", "z%2F", "é",
      "\u{1}", "~",
    ]
    if pick(12) == 0 { return [UInt8](repeating: UInt8(ascii: "k"), count: 1024) }
    return Array(keys[pick(keys.count)].utf8)
  }

  func content(_ size: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(size + Self.pattern.count)
    let stamp = random.bytes(16)
    while bytes.count < size { bytes += Self.pattern }
    bytes.removeLast(bytes.count - size)
    for (index, byte) in stamp.enumerated() where index < size { bytes[index] = byte }
    return bytes
  }

  func size() -> Int {
    let stripe = 1 << 20
    let sizes = [
      0, 1, 100, 16 << 10, (16 << 10) + 1, 65_535, 65_536, 65_537, 300_000, stripe - 1, stripe,
      stripe + 1, 2 * stripe, 2 * stripe + 77_777, 3 * stripe - 1,
    ]
    return pick(2) == 0 ? sizes[pick(sizes.count)] : pick(20_000)
  }

  func metadata() -> [String: String] {
    pick(2) == 0 ? [:] : ["color": "\(pick(100))", "note": "n \(pick(3))"]
  }

  func condition(_ bucket: String, _ key: [UInt8]) -> ReferenceS3.Condition {
    switch pick(8) {
    case 0: .absent
    case 1: .exists
    case 2: .matches((try? reference.object(bucket, key).etag) ?? "0123")
    case 3: .matches("00000000000000000000000000000000")
    default: .none
    }
  }

  func attributes(_ metadata: [String: String]) -> ObjectAttributes {
    ObjectAttributes(
      headers: [.init(name: "content-type", value: "text/x-model")],
      metadata: metadata.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: $0.value) })
  }

  // MARK: Steps

  func step() async throws {
    let bucket = Self.bucketNames[pick(2)]
    let key = key()
    switch pick(100) {
    case 0..<26: try await put(bucket, key)
    case 26..<46: try await get(bucket, key)
    case 46..<56: try await list(bucket)
    case 56..<63: try await copy(bucket, key)
    case 63..<67: try await replaceMetadata(bucket, key)
    case 67..<76: try await delete(bucket, key)
    case 76..<81: try await createUpload(bucket, key)
    case 81..<88: try await putPart()
    case 88..<93: try await complete()
    case 93..<94: try await abort()
    case 94..<95: try await createBucket(bucket)
    case 95..<96: try await deleteBucket(bucket)
    case 96..<98: try await switchStores()
    default: try await restart()
    }
  }

  func note(_ text: String) { log.append("\(log.count): \(text)") }

  func text(_ bucket: String, _ key: [UInt8]) -> String {
    "\(bucket)/\(String(decoding: key.prefix(20), as: UTF8.self))"
  }

  func refusal(_ error: any Error) throws -> ReferenceS3.Refusal {
    var error = error
    if case EngineError.metadata(let inner) = error { error = inner }
    switch error {
    case MetadataError.noSuchBucket: return .noSuchBucket
    case MetadataError.bucketExists: return .bucketExists
    case MetadataError.bucketNotEmpty: return .bucketNotEmpty
    case MetadataError.noSuchKey: return .noSuchKey
    case MetadataError.preconditionFailed: return .preconditionFailed
    case MetadataError.noSuchUpload: return .noSuchUpload
    case MetadataError.invalidPart(let number): return .invalidPart(number)
    case EngineError.partTooSmall(let number): return .partTooSmall(number)
    case let refusal as ReferenceS3.Refusal: return refusal
    default: throw error
    }
  }

  /// Runs a request on both sides and compares the answers.
  func both<R: Equatable>(
    _ what: String, expected: () throws -> R, actual: () async throws -> R
  ) async throws {
    note(what)
    let found: Result<R, ReferenceS3.Refusal>
    do { found = .success(try await actual()) } catch { found = .failure(try refusal(error)) }
    let wanted: Result<R, ReferenceS3.Refusal>
    do { wanted = .success(try expected()) } catch { wanted = .failure(try refusal(error)) }
    try #require(found == wanted, "\(what)\n\(story)")
  }

  func bucket(_ name: String) throws -> Bucket {
    guard let bucket = buckets[name] else { throw MetadataError.noSuchBucket }
    return bucket
  }

  func engineCondition(_ condition: ReferenceS3.Condition) -> WriteCondition {
    switch condition {
    case .none: .none
    case .absent: .absent
    case .exists: .exists
    case .matches(let etag): .matches(etag: etag)
    }
  }

  // MARK: Buckets

  func createBucket(_ name: String) async throws {
    try await both("create bucket \(name)") {
      try reference.createBucket(name)
      return true
    } actual: {
      buckets[name] = try await node.store.createBucket(
        name: name, tenant: 1, owner: owner, purpose: .s3)
      return true
    }
  }

  func deleteBucket(_ name: String) async throws {
    try await both("delete bucket \(name)") {
      try reference.deleteBucket(name)
      return true
    } actual: {
      try await node.store.deleteBucket(try bucket(name).id)
      buckets[name] = nil
      return true
    }
  }

  // MARK: Objects

  func put(_ name: String, _ key: [UInt8]) async throws {
    let content = content(size())
    let metadata = metadata()
    let condition = condition(name, key)
    let isKnown = pick(3) > 0
    try await both("put \(text(name, key)) \(content.count) \(condition)") {
      try reference.put(content, name, key, metadata: metadata, condition)
    } actual: {
      let source = ModelSource(content, isKnown: isKnown, seed: random.next())
      let result = try await node.engine.put(
        PutRequest(
          bucket: try bucket(name), key: key, attributes: attributes(metadata), owner: owner,
          condition: engineCondition(condition)),
        from: source)
      try #require(result.digests.size == Int64(content.count))
      try noteModified(name, key, result.version.lastModified)
      return result.etag
    }
  }

  func noteModified(_ name: String, _ key: [UInt8], _ time: Timestamp) throws {
    let id = text(name, key) + Hex.encode(key)
    if let before = modified[id], (try? reference.object(name, key)) != nil {
      try #require(time > before, "Last-Modified of \(id) went back")
    }
    modified[id] = time
  }

  func lookUp(
    _ name: String, _ key: [UInt8], withContent: Bool = true
  ) async throws -> ObjectVersion {
    let found = try await node.store.lookUp(
      bucket: name, tenant: 1, key: key, versionID: nil, withContent: withContent)
    guard found.bucket != nil else { throw MetadataError.noSuchBucket }
    guard let version = found.version else { throw MetadataError.noSuchKey }
    return version
  }

  func read(_ version: ObjectVersion, _ range: Range<Int64>) async throws -> [UInt8] {
    if range.isEmpty { return [] }
    if version.extentCount == 0 {
      let bytes = try node.engine.inlineContent(version)
      return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    }
    let read = try await node.engine.read(version, range)
    var result: [UInt8] = []
    try await read.stream { buffer, range in result += buffer.bytes(range) }
    return result
  }

  func get(_ name: String, _ key: [UInt8]) async throws {
    note("get \(text(name, key))")
    guard let expected = try? reference.object(name, key) else {
      return try await both("get \(text(name, key))") {
        try reference.object(name, key).etag
      } actual: {
        try await lookUp(name, key).etag
      }
    }
    let head = try await lookUp(name, key, withContent: false)
    try #require(head.etag == expected.etag, "\(story)")
    try #require(head.size == Int64(expected.content.count), "\(story)")
    try #require(head.partCount == expected.parts.count, "\(story)")
    let found = Dictionary(
      uniqueKeysWithValues: head.attributes.metadata.map { ($0.name, $0.value) })
    try #require(found == expected.metadata, "\(story)")
    let version = try await lookUp(name, key)
    let size = Int64(expected.content.count)
    var range = 0..<size
    if size > 0, pick(2) == 0 {
      let start = Int64(pick(Int(size)))
      range = start..<start + 1 + Int64(pick(Int(size - start)))
    } else if pick(2) == 0, !expected.parts.isEmpty {
      range = try await partRange(version, expected)
    }
    let bytes = try await read(version, range)
    let wanted = expected.content[Int(range.lowerBound)..<Int(range.upperBound)]
    try #require(isSame(bytes, wanted), "bytes \(range) of \(size)\n\(story)")
  }

  func partRange(
    _ version: ObjectVersion, _ expected: ReferenceS3.Object
  ) async throws -> Range<Int64> {
    let links = try await node.store.extents(of: version.number, in: 0..<version.size)
    let filled = expected.parts.filter { $0 > 0 }
    try #require(links.map { Int($0.length) } == filled, "\(story)")
    guard !links.isEmpty else { return 0..<version.size }
    let index = pick(links.count)
    let link = try #require(
      try await node.store.extent(of: version.number, part: links[index].partNumber))
    try #require(Int(link.offset) == filled[..<index].reduce(0, +), "\(story)")
    return link.offset..<link.offset + link.length
  }

  func isSame(_ left: [UInt8], _ right: ArraySlice<UInt8>) -> Bool {
    left.count == right.count
      && left.withUnsafeBytes { a in
        right.withUnsafeBytes { b in
          guard let a = a.baseAddress, let b = b.baseAddress else { return true }
          return memcmp(a, b, right.count) == 0
        }
      }
  }

  func copy(_ name: String, _ key: [UInt8]) async throws {
    let target = (bucket: Self.bucketNames[pick(2)], key: self.key())
    let replaced = pick(2) == 0 ? metadata() : nil
    let condition = condition(target.bucket, target.key)
    try await both("copy \(text(name, key)) to \(text(target.bucket, target.key))") {
      try reference.copy((name, key), to: target, metadata: replaced, condition)
    } actual: {
      let source = try await lookUp(name, key)
      let kept = Dictionary(
        uniqueKeysWithValues: source.attributes.metadata.map { ($0.name, $0.value) })
      let result = try await node.engine.copy(
        source,
        to: PutRequest(
          bucket: try bucket(target.bucket), key: target.key,
          attributes: attributes(replaced ?? kept), owner: owner,
          condition: engineCondition(condition)))
      try noteModified(target.bucket, target.key, result.version.lastModified)
      return result.etag
    }
  }

  func replaceMetadata(_ name: String, _ key: [UInt8]) async throws {
    let metadata = metadata()
    try await both("new metadata of \(text(name, key))") {
      try reference.replaceMetadata(name, key, metadata)
      return true
    } actual: {
      let current = try await lookUp(name, key)
      let version = try await node.engine.replaceAttributes(
        of: current, attributes: attributes(metadata), storageClass: "STANDARD")
      try noteModified(name, key, version.lastModified)
      return true
    }
  }

  func delete(_ name: String, _ key: [UInt8]) async throws {
    let condition = condition(name, key)
    try await both("delete \(text(name, key)) \(condition)") {
      try reference.delete(name, key, condition)
    } actual: {
      try await node.engine.delete(
        bucket: try bucket(name).id, key: key, condition: engineCondition(condition)
      ).existed
    }
  }

  // MARK: Listing

  func list(_ name: String) async throws {
    let prefixes = ["", "a", "a/", "dir/", "dir/y", "z", "none"]
    let prefix = Array(prefixes[pick(prefixes.count)].utf8)
    let delimiter = Array(["", "/", "//", "b"][pick(4)].utf8)
    var after = pick(3) == 0 ? key() : []
    let limit = 1 + pick(5)
    note("list \(name) prefix \(prefix) delimiter \(delimiter) after \(after) limit \(limit)")
    guard let bucket = buckets[name] else {
      try #require(reference.buckets[name] == nil)
      return
    }
    var wanted = try reference.list(name, prefix: prefix, delimiter: delimiter, after: after)
    while true {
      let page = try await node.store.list(
        ListRequest(
          bucket: bucket.id, prefix: prefix, delimiter: delimiter, after: after, limit: limit))
      let rows = page.rows.map { row -> ReferenceS3.Row in
        switch row {
        case .object(let object):
          .object(key: object.key, size: Int(object.size), etag: object.etag)
        case .commonPrefix(let prefix): .commonPrefix(prefix)
        }
      }
      try #require(rows == Array(wanted.prefix(limit)), "\(story)")
      wanted.removeFirst(rows.count)
      try #require((page.next == nil) == wanted.isEmpty, "\(story)")
      guard let next = page.next else { return }
      after = next
    }
  }
}
