import Crypto

/// S3 as it should be, in memory: the oracle of the model test.
///
/// It knows nothing of how the engine works. Everything here is the plainest code that says what S3
/// answers, one request at a time; where the engine differs, one of the two is wrong.
struct ReferenceS3 {
  /// An object as a reader finds it.
  struct Object {
    var content: [UInt8]
    /// Without quotes: the MD5, or the MD5 of the parts' MD5s and their number.
    var etag: String
    var metadata: [String: String]
    /// The size of each part; empty for an object that was put in one.
    var parts: [Int] = []
  }

  /// A part that was uploaded.
  struct Part {
    var content: [UInt8]
    var etag: String
  }

  /// An upload that is neither completed nor aborted.
  struct Upload {
    var bucket: String
    var key: [UInt8]
    var metadata: [String: String]
    var parts: [Int: Part] = [:]
  }

  /// Why a request is refused.
  enum Refusal: Error, Equatable {
    case noSuchBucket, bucketExists, bucketNotEmpty, noSuchKey, preconditionFailed, noSuchUpload
    case invalidPart(Int)
    case partTooSmall(Int)
  }

  /// What must hold for a write.
  enum Condition: Equatable {
    case none, absent, exists
    case matches(String)
  }

  /// A row of a listing.
  enum Row: Equatable {
    case object(key: [UInt8], size: Int, etag: String)
    case commonPrefix([UInt8])

    var name: [UInt8] {
      switch self {
      case .object(let key, _, _): key
      case .commonPrefix(let prefix): prefix
      }
    }
  }

  /// Parts but the last have at least so many bytes.
  static let minimumPartSize = 5 << 20

  private(set) var buckets: [String: [[UInt8]: Object]] = [:]
  private(set) var uploads: [Int: Upload] = [:]

  // MARK: Buckets

  mutating func createBucket(_ name: String) throws(Refusal) {
    if buckets[name] != nil { throw .bucketExists }
    buckets[name] = [:]
  }

  /// A bucket goes only when it holds neither objects nor uploads.
  mutating func deleteBucket(_ name: String) throws(Refusal) {
    guard let bucket = buckets[name] else { throw .noSuchBucket }
    if !bucket.isEmpty || uploads.values.contains(where: { $0.bucket == name }) {
      throw .bucketNotEmpty
    }
    buckets[name] = nil
  }

  // MARK: Objects

  func object(_ bucket: String, _ key: [UInt8]) throws(Refusal) -> Object {
    guard let objects = buckets[bucket] else { throw .noSuchBucket }
    guard let object = objects[key] else { throw .noSuchKey }
    return object
  }

  mutating func put(
    _ content: [UInt8], _ bucket: String, _ key: [UInt8], metadata: [String: String],
    _ condition: Condition
  ) throws(Refusal) -> String {
    try check(condition, bucket, key)
    let object = Object(content: content, etag: Self.md5(content), metadata: metadata)
    buckets[bucket]?[key] = object
    return object.etag
  }

  /// A copy has one part, whatever its source had; its metadata is the source's or given.
  mutating func copy(
    _ source: (bucket: String, key: [UInt8]), to target: (bucket: String, key: [UInt8]),
    metadata: [String: String]?, _ condition: Condition
  ) throws(Refusal) -> String {
    let object = try object(source.bucket, source.key)
    return try put(
      object.content, target.bucket, target.key, metadata: metadata ?? object.metadata, condition)
  }

  /// A copy onto itself that only replaces the metadata: content, ETag and parts stay.
  mutating func replaceMetadata(
    _ bucket: String, _ key: [UInt8], _ metadata: [String: String]
  ) throws(Refusal) {
    _ = try object(bucket, key)
    buckets[bucket]?[key]?.metadata = metadata
  }

  /// Deleting what is not there is no error; whether something was there.
  mutating func delete(
    _ bucket: String, _ key: [UInt8], _ condition: Condition
  ) throws(Refusal) -> Bool {
    try check(condition, bucket, key)
    return buckets[bucket]?.removeValue(forKey: key) != nil
  }

  private func check(
    _ condition: Condition, _ bucket: String, _ key: [UInt8]
  ) throws(Refusal) {
    guard let objects = buckets[bucket] else { throw .noSuchBucket }
    switch condition {
    case .none: break
    case .absent: if objects[key] != nil { throw .preconditionFailed }
    case .exists: if objects[key] == nil { throw .noSuchKey }
    case .matches(let etag):
      guard let object = objects[key] else { throw .noSuchKey }
      if object.etag != etag { throw .preconditionFailed }
    }
  }

  // MARK: Listing

  /// All rows of a listing in the order of their bytes, behind `after`.
  func list(
    _ bucket: String, prefix: [UInt8], delimiter: [UInt8], after: [UInt8]
  ) throws(Refusal) -> [Row] {
    guard let objects = buckets[bucket] else { throw .noSuchBucket }
    var rows: [Row] = []
    for (key, object) in objects where key.starts(with: prefix) {
      let rest = Array(key.dropFirst(prefix.count))
      if !delimiter.isEmpty, let end = Self.firstEnd(of: delimiter, in: rest) {
        let row = Row.commonPrefix(prefix + rest[..<end])
        if !rows.contains(row) { rows.append(row) }
      } else {
        rows.append(.object(key: key, size: object.content.count, etag: object.etag))
      }
    }
    return rows.filter { after.lexicographicallyPrecedes($0.name) }
      .sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  private static func firstEnd(of delimiter: [UInt8], in text: [UInt8]) -> Int? {
    for start in text.indices where text[start...].starts(with: delimiter) {
      return start + delimiter.count
    }
    return nil
  }

  // MARK: Multipart

  mutating func createUpload(
    _ number: Int, _ bucket: String, _ key: [UInt8], metadata: [String: String]
  ) throws(Refusal) {
    guard buckets[bucket] != nil else { throw .noSuchBucket }
    uploads[number] = Upload(bucket: bucket, key: key, metadata: metadata)
  }

  mutating func putPart(
    _ number: Int, of upload: Int, _ content: [UInt8]
  ) throws(Refusal) -> String {
    guard uploads[upload] != nil else { throw .noSuchUpload }
    let part = Part(content: content, etag: Self.md5(content))
    uploads[upload]?.parts[number] = part
    return part.etag
  }

  /// The named parts one behind the other become the object; parts that are not named are dropped.
  mutating func complete(
    _ number: Int, _ named: [(number: Int, etag: String)], _ condition: Condition
  ) throws(Refusal) -> String {
    guard let upload = uploads[number] else { throw .noSuchUpload }
    var parts: [Part] = []
    for name in named {
      guard let part = upload.parts[name.number], part.etag == name.etag else {
        throw .invalidPart(name.number)
      }
      parts.append(part)
    }
    for (name, part) in zip(named, parts).dropLast()
    where part.content.count < Self.minimumPartSize {
      throw .partTooSmall(name.number)
    }
    try check(condition, upload.bucket, upload.key)
    let digests = parts.flatMap { Digest.hash(.md5, $0.content) }
    let etag = "\(Self.md5(digests))-\(parts.count)"
    buckets[upload.bucket]?[upload.key] = Object(
      content: parts.flatMap(\.content), etag: etag, metadata: upload.metadata,
      parts: parts.map(\.content.count))
    uploads[number] = nil
    return etag
  }

  mutating func abort(_ number: Int) throws(Refusal) {
    guard uploads.removeValue(forKey: number) != nil else { throw .noSuchUpload }
  }

  static func md5(_ content: [UInt8]) -> String {
    Digest.hash(.md5, content).map { byte in
      let digits = Array("0123456789abcdef")
      return "\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
    }.joined()
  }
}
