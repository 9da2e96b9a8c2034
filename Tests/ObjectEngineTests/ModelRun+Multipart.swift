import Metadata
import ObjectEngine
import Runtime
import Testing

extension ModelRun {
  func createUpload(_ name: String, _ key: [UInt8]) async throws {
    let metadata = metadata()
    let number = nextUpload
    nextUpload += 1
    try await both("create upload \(number) of \(text(name, key))") {
      try reference.createUpload(number, name, key, metadata: metadata)
      return true
    } actual: {
      uploads[number] = try await node.engine.createUpload(
        bucket: try bucket(name), key: key, attributes: attributes(metadata),
        storageClass: "STANDARD", owner: owner, algorithm: nil, type: nil)
      return true
    }
  }

  func someUpload() -> Int { 1 + pick(max(1, nextUpload - 1)) }

  /// The upload as a request would look it up.
  func upload(_ number: Int) async throws -> MultipartUpload {
    guard let known = uploads[number],
      let upload = try await node.store.upload(known.id, bucket: known.bucket, key: known.key)
    else { throw MetadataError.noSuchUpload }
    return upload
  }

  func putPart() async throws {
    let number = someUpload()
    let part = 1 + pick(4)
    if pick(3) == 0, let name = reference.uploads[number]?.bucket {
      return try await copyPart(part, of: number, in: name)
    }
    let content = content(pick(3) == 0 ? ReferenceS3.minimumPartSize + pick(3) : size())
    try await both("part \(part) of \(number), \(content.count)") {
      try reference.putPart(part, of: number, content)
    } actual: {
      let upload = try await upload(number)
      let name = reference.uploads[number]?.bucket ?? ""
      return try await node.engine.putPart(
        part, of: upload, bucket: try bucket(name),
        from: ModelSource(content, isKnown: true, seed: random.next()), algorithms: [.crc64nvme]
      ).etag
    }
  }

  func copyPart(_ part: Int, of number: Int, in name: String) async throws {
    let key = key()
    guard let source = try? reference.object(name, key), !source.content.isEmpty else { return }
    let start = pick(source.content.count)
    let range = start..<start + 1 + pick(source.content.count - start)
    try await both("part \(part) of \(number) copies \(text(name, key)) \(range)") {
      try reference.putPart(part, of: number, Array(source.content[range]))
    } actual: {
      try await node.engine.copyPart(
        part, of: try await upload(number), bucket: try bucket(name),
        from: try await lookUp(name, key), Int64(range.lowerBound)..<Int64(range.upperBound),
        algorithms: [.crc64nvme]
      ).etag
    }
  }

  func complete() async throws {
    let number = someUpload()
    let parts = reference.uploads[number]?.parts ?? [:]
    var named = parts.sorted { $0.key < $1.key }.map { (number: $0.key, etag: $0.value.etag) }
    if named.count > 1, pick(3) == 0 { named.remove(at: pick(named.count)) }
    if pick(8) == 0 { named.append((number: 9, etag: String(repeating: "0", count: 32))) }
    guard !named.isEmpty else { return }
    let target = reference.uploads[number]
    let condition = target.map { self.condition($0.bucket, $0.key) } ?? .none
    try await both("complete \(number) of \(named.count) parts \(condition)") {
      try reference.complete(number, named, condition)
    } actual: {
      let upload = try await upload(number)
      let result = try await node.engine.complete(
        upload, parts: named.map { NamedPart(number: $0.number, etag: $0.etag, checksum: nil) },
        condition: engineCondition(condition))
      if let target { try noteModified(target.bucket, target.key, result.version.lastModified) }
      return result.etag
    }
  }

  func abort() async throws {
    let number = someUpload()
    try await both("abort \(number)") {
      try reference.abort(number)
      return true
    } actual: {
      let upload = try await upload(number)
      try await node.store.abort(upload.id, bucket: upload.bucket, key: upload.key)
      return true
    }
  }
}
