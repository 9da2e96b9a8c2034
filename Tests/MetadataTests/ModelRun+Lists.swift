import Base
import Metadata
import Testing

extension ModelRun {
  func list() async throws {
    let bucket = pick(buckets)
    let prefix = pick(2) == 0 ? [] : Array(key().prefix(2))
    let delimiter: [UInt8] = pick([[], [0x2f], [0x61, 0x2f], [0xff], [0x00]])
    let start = pick(2) == 0 ? [] : key()
    let limit = 1 + pick(6)
    let expected = reference.list(
      bucket.id, prefix: prefix, delimiter: delimiter, after: start)
    var names: [[UInt8]] = []
    var after = start
    while true {
      let page = try await store.list(
        ListRequest(
          bucket: bucket.id, prefix: prefix, delimiter: delimiter, after: after, limit: limit))
      #expect(page.rows.count <= limit)
      for row in page.rows {
        switch row {
        case .commonPrefix(let name): names.append(name)
        case .object(let object):
          names.append(object.key)
          let version = reference.live(bucket.id, object.key)
          #expect(object.etag == version?.etag)
          #expect(object.size == version?.size)
          #expect(object.lastModified.milliseconds == version?.modified)
        }
      }
      guard let next = page.next, names.count <= expected.count else { break }
      #expect(page.rows.count == limit)
      after = next
    }
    #expect(
      names == expected, "prefix \(prefix) delimiter \(delimiter) after \(start) limit \(limit)")
  }

  func multipart() async throws {
    let ids = reference.uploads.keys.sorted { $0.number < $1.number }
    switch pick(ids.isEmpty ? 1 : 8) {
    case 0: try await beginUpload()
    case 1..<5: try await putPart(pick(ids))
    case 5: try await abort(pick(ids))
    case 6: try await complete(pick(ids))
    default: try await listUploads()
    }
  }

  func beginUpload() async throws {
    let bucket = pick(buckets)
    let upload = MultipartUpload(
      id: fixture.opaqueID(), bucket: bucket.id, key: key(), initiated: fixture.clock.now,
      owner: Fixture.owner, attributes: ObjectAttributes(), storageClass: "STANDARD",
      checksumAlgorithm: 0, checksumIsComposite: false)
    #expect(try await store.createUpload(upload) == upload)
    reference.uploads[upload.id] = .init(bucket: bucket.id, key: upload.key)
  }

  func putPart(_ id: OpaqueID) async throws {
    let extent = fixture.extent(Int64(pick(40)))
    let number = 1 + pick(6)
    let part = UploadedPart(
      number: number, size: extent.plaintextLength, etag: "p\(pick(9))",
      lastModified: fixture.clock.now, checksum: nil, extent: extent.id)
    _ = try await store.commitPart(part, extent: extent, upload: id)
    if let old = reference.uploads[id]?.parts[number] {
      reference.tombstones.insert(old.extent.id)
    }
    reference.uploads[id]?.parts[number] = (extent, part.etag)
    #expect(
      try await store.parts(of: id, after: 0, limit: 100).map(\.extent)
        == reference.uploads[id]?.parts.sorted { $0.key < $1.key }.map(\.value.extent.id))
  }

  func abort(_ id: OpaqueID) async throws {
    guard let upload = reference.uploads.removeValue(forKey: id) else { return }
    try await store.abort(id, bucket: upload.bucket, key: upload.key)
    for part in upload.parts.values { reference.tombstones.insert(part.extent.id) }
    await #expect(throws: MetadataError.noSuchUpload) {
      try await store.abort(id, bucket: upload.bucket, key: upload.key)
    }
  }

  func complete(_ id: OpaqueID) async throws {
    guard let upload = reference.uploads[id],
      let bucket = buckets.first(where: { $0.id == upload.bucket })
    else { return }
    let stored = try await store.parts(of: id, after: 0, limit: 100)
    var named = stored.filter { _ in pick(3) > 0 }
    let isStale = !named.isEmpty && pick(4) == 0
    if isStale { named[0].extent = fixture.extent(1).id }
    let version = fixture.opaqueID()
    let condition = condition(bucket, upload.key)
    let completion = UploadCompletion(
      upload: id, bucket: upload.bucket, key: upload.key, parts: named, version: version,
      etag: "e\(pick(3))-2", checksum: nil, condition: condition)
    var expected = reference.refusal(
      condition, reference.current(upload.bucket, upload.key))
    if named.isEmpty { expected = .invalidPart(1) }
    if expected == nil && isStale { expected = .invalidPart(named[0].number) }
    do {
      let made = try await store.complete(completion)
      #expect(expected == nil)
      reference.uploads[id] = nil
      let extents = named.compactMap { upload.parts[$0.number]?.extent }
      for (number, part) in upload.parts where !named.contains(where: { $0.number == number }) {
        reference.tombstones.insert(part.extent.id)
      }
      let model = reference.put(
        upload.bucket, upload.key,
        .init(
          number: version.number, nonce: version.nonce, isMarker: false,
          size: named.reduce(0) { $0 + $1.size }, etag: completion.etag, modified: 0,
          extents: extents, isInline: false), now: fixture.clock.now.milliseconds)
      #expect(made.lastModified.milliseconds == model.modified)
      for part in named {
        let link = try await store.extent(of: version.number, part: part.number)
        #expect(link?.extent.id == part.extent)
      }
      let repeated = try await store.completedVersion(
        of: id, bucket: upload.bucket, key: upload.key)
      #expect(repeated?.number == version.number)
      #expect(repeated?.partCount == named.count)
    } catch let error as MetadataError {
      #expect(error == expected)
    }
  }

  func listUploads() async throws {
    let bucket = pick(buckets)
    let delimiter: [UInt8] = pick([[], [0x2f], [0xff]])
    let mine = reference.uploads.filter { $0.value.bucket == bucket.id }
    var expectedUploads: [OpaqueID] = []
    var expectedPrefixes: Set<[UInt8]> = []
    let ordered = mine.sorted { left, right in
      left.value.key == right.value.key
        ? left.key.number < right.key.number
        : left.value.key.lexicographicallyPrecedes(right.value.key)
    }
    for (id, upload) in ordered {
      let name = ReferenceStore.name(of: upload.key, prefix: [], delimiter: delimiter)
      if delimiter.isEmpty || !upload.key.suffix(from: 0).contains(delimiter[0]) {
        expectedUploads.append(id)
      } else {
        expectedPrefixes.insert(name)
      }
    }
    var uploads: [OpaqueID] = []
    var prefixes: [[UInt8]] = []
    var request = UploadListRequest(
      bucket: bucket.id, delimiter: delimiter, limit: 1 + pick(3))
    while true {
      let page = try await store.listUploads(request)
      uploads += page.uploads.map(\.id)
      prefixes += page.commonPrefixes
      guard let next = page.nextKey, uploads.count <= mine.count else { break }
      request.afterKey = next
      request.afterUpload = page.nextUpload
    }
    #expect(uploads == expectedUploads)
    #expect(prefixes == expectedPrefixes.sorted { $0.lexicographicallyPrecedes($1) })
  }

  /// Everything that the tables count, against the reference.
  func checkAll() async throws {
    for bucket in buckets {
      #expect(try await store.usage(of: bucket.id) == reference.usage[bucket.id])
    }
    while try await store.foldUsage(limit: 7) > 0 {}
    for bucket in buckets {
      #expect(try await store.usage(of: bucket.id) == reference.usage[bucket.id])
      for key in (reference.keys[bucket.id] ?? [:]).keys {
        try await check(bucket, key, versionID: nil, reference.current(bucket.id, key))
      }
    }
    let counts = try await store.counts()
    #expect(counts.versions == Int64(reference.versionCount))
    #expect(counts.extents == Int64(reference.extentCount))
    #expect(counts.inlineObjects == Int64(reference.inlineCount))
    #expect(counts.uploads == Int64(reference.uploads.count))
    fixture.clock.advance(milliseconds: 1)
    let tombstones = try await store.tombstones(before: fixture.clock.now, limit: 10_000)
    #expect(Set(tombstones.map(\.extent)) == reference.tombstones)
    let walked = try await store.extents(after: nil, limit: 10_000)
    #expect(walked.count == reference.extentCount)
    let names = try await store.named(among: walked.map(\.id) + tombstones.map(\.extent))
    #expect(names.count == walked.count + tombstones.count)
    #expect(try await fixture.quickCheck().isEmpty)
  }
}
