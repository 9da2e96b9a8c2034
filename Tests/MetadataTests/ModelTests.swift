import Base
import Metadata
import Runtime
import Testing

/// Random operations on the store and on the reference must come to the same.
@Suite("The store against a reference")
struct ModelTests {
  @Test(
    "random operations agree", arguments: DatabaseKind.available,
    [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
  func operations(on kind: DatabaseKind, seed: UInt64) async throws {
    print("metadata model test: seed \(seed) on \(kind)")
    let run = try await ModelRun(seed: seed, on: kind)
    for _ in 0..<400 { try await run.step() }
    try await run.checkAll()
    await run.fixture.close()
  }
}

final class ModelRun {
  let fixture: Fixture
  var reference = ReferenceStore()
  var buckets: [Bucket] = []
  let random: SeededRandom

  var store: SQLMetadataStore { fixture.store }

  init(seed: UInt64, on kind: DatabaseKind = .sqlite) async throws {
    fixture = try await Fixture.on(kind, seed: seed &* 7919)
    random = SeededRandom(seed: seed)
    for (name, versioning) in [("off", 0), ("enabled", 1), ("suspended", 1)] {
      let bucket = try await fixture.bucket(name)
      buckets.append(bucket)
      let state: Bucket.Versioning = versioning == 1 ? .enabled : .off
      if state == .enabled { try await store.setVersioning(bucket.id, .enabled) }
      reference.keys[bucket.id] = [:]
      reference.versioning[bucket.id] = state
    }
  }

  func pick(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

  func pick<T>(_ values: [T]) -> T { values[pick(values.count)] }

  /// Few and odd keys, so that operations meet and ranges have corners.
  func key() -> [UInt8] {
    let alphabet: [UInt8] = [0x00, 0x2f, 0x61, 0x62, 0xfe, 0xff]
    return (0...pick(4)).map { _ in pick(alphabet) }
  }

  func knownKey(_ bucket: Bucket) -> [UInt8] {
    let keys = (reference.keys[bucket.id] ?? [:]).keys
      .sorted { $0.lexicographicallyPrecedes($1) }
    return keys.isEmpty || pick(3) == 0 ? key() : pick(keys)
  }

  func condition(_ bucket: Bucket, _ key: [UInt8]) -> WriteCondition {
    switch pick(8) {
    case 0: .absent
    case 1: .exists
    case 2: .matches(etag: "e\(pick(3))")
    case 3: .version(reference.current(bucket.id, key)?.number ?? VersionNumber(rawValue: 9))
    default: .none
    }
  }

  func step() async throws {
    fixture.clock.advance(milliseconds: Int64(pick(3)))
    switch pick(20) {
    case 0..<7: try await commit()
    case 7..<10: try await delete()
    case 10..<12: try await lookUp()
    case 12..<15: try await list()
    case 15..<18: try await multipart()
    case 18: try await changeVersioning()
    default: _ = try await store.foldUsage(limit: pick(10))
    }
  }

  func commit() async throws {
    let bucket = pick(buckets)
    let key = knownKey(bucket)
    let extents = pick(2) == 0 ? [] : (0...pick(2)).map { _ in fixture.extent(Int64(1 + pick(99))) }
    var commit =
      extents.isEmpty
      ? fixture.inlineCommit(bucket, key, size: Int64(pick(50)), etag: "e\(pick(3))")
      : fixture.extentCommit(bucket, key, extents: extents, etag: "e\(pick(3))")
    commit.condition = condition(bucket, key)
    let expected = reference.refusal(
      commit.condition, reference.current(bucket.id, key))
    do {
      let made = try await store.commit(commit)
      #expect(expected == nil)
      let model = reference.put(
        bucket.id, key,
        .init(
          number: commit.version.number, nonce: commit.version.nonce, isMarker: false,
          size: commit.size, etag: commit.etag, modified: 0, extents: extents,
          isInline: extents.isEmpty), now: fixture.clock.now.milliseconds)
      #expect(made.number == model.number)
      #expect(made.lastModified.milliseconds == model.modified)
      #expect(made.versionID == versionID(bucket, model))
    } catch let error as MetadataError {
      #expect(error == expected)
    }
  }

  func versionID(_ bucket: Bucket, _ version: ReferenceStore.Version) -> String? {
    if reference.versioning[bucket.id] == .off { return nil }
    guard let nonce = version.nonce else { return "null" }
    return OpaqueID(number: version.number, nonce: nonce).text
  }

  func delete() async throws {
    let bucket = pick(buckets)
    let key = knownKey(bucket)
    guard pick(3) > 0 else { return try await deleteVersion(bucket, key) }
    let condition = condition(bucket, key)
    let expected = reference.refusal(condition, reference.current(bucket.id, key))
    do {
      let existed = reference.live(bucket.id, key) != nil
      let made = try await store.delete(
        bucket: bucket.id, key: key, versionID: nil, condition: condition)
      #expect(expected == nil)
      #expect(made.existed == existed)
      if reference.versioning[bucket.id] == .off {
        _ = reference.remove(bucket.id, key) { _ in true }
        #expect(made.versionID == nil && !made.isDeleteMarker)
        return
      }
      #expect(made.isDeleteMarker)
      let id = made.versionID.flatMap { OpaqueID($0) }
      let found = try await store.lookUp(
        bucket: bucket.name, tenant: 1, key: key, versionID: made.versionID, withContent: true)
      let number = try #require(found.version?.number)
      _ = reference.put(
        bucket.id, key,
        .init(
          number: number, nonce: id?.nonce, isMarker: true, size: 0, etag: "", modified: 0,
          extents: [], isInline: false), now: fixture.clock.now.milliseconds)
    } catch let error as MetadataError {
      #expect(error == expected)
    }
  }

  func deleteVersion(_ bucket: Bucket, _ key: [UInt8]) async throws {
    let versions = reference.keys[bucket.id]?[key] ?? []
    let nonce = versions.isEmpty ? 5 : pick(versions).nonce
    let named = versions.first { $0.nonce == nonce }
    var text = "null"
    if let nonce {
      text = OpaqueID(number: named?.number ?? VersionNumber(rawValue: 3), nonce: nonce).text
    }
    let made = try await store.delete(
      bucket: bucket.id, key: key, versionID: text, condition: .none)
    let removed = reference.remove(bucket.id, key) { $0.nonce == nonce && named != nil }
    #expect(made.existed == (removed != nil))
    #expect(made.versionID == text)
    #expect(made.isDeleteMarker == (removed?.isMarker ?? false))
  }

  func changeVersioning() async throws {
    let bucket = buckets[2]
    let state: Bucket.Versioning = pick(2) == 0 ? .enabled : .suspended
    try await store.setVersioning(bucket.id, state)
    reference.versioning[bucket.id] = state
    await #expect(throws: MetadataError.preconditionFailed) {
      try await store.setVersioning(bucket.id, .off)
    }
  }

  func lookUp() async throws {
    let bucket = pick(buckets)
    let key = knownKey(bucket)
    try await check(bucket, key, versionID: nil, reference.current(bucket.id, key))
    let null = reference.keys[bucket.id]?[key]?.first { $0.nonce == nil }
    try await check(bucket, key, versionID: "null", null)
    try await check(bucket, key, versionID: "no such thing", nil)
    for version in reference.keys[bucket.id]?[key] ?? [] {
      guard let nonce = version.nonce else { continue }
      let id = OpaqueID(number: version.number, nonce: nonce)
      try await check(bucket, key, versionID: id.text, version)
      let wrong = OpaqueID(number: version.number, nonce: nonce ^ 1)
      try await check(bucket, key, versionID: wrong.text, nil)
    }
  }

  func check(
    _ bucket: Bucket, _ key: [UInt8], versionID: String?, _ expected: ReferenceStore.Version?
  ) async throws {
    let found = try await store.lookUp(
      bucket: bucket.name, tenant: 1, key: key, versionID: versionID, withContent: true)
    #expect(found.bucket?.id == bucket.id)
    #expect(found.version?.number == expected?.number)
    guard let version = found.version, let expected else { return }
    #expect(version.nonce == expected.nonce)
    #expect(version.isDeleteMarker == expected.isMarker)
    #expect(version.size == expected.size)
    #expect(version.etag == expected.etag)
    #expect(version.lastModified.milliseconds == expected.modified)
    #expect((version.inline != nil) == expected.isInline)
    #expect(version.extentCount == expected.extents.count)
    let range = Int64(pick(100))..<Int64(100 + pick(200))
    var start: Int64 = 0
    var touched: [ExtentID] = []
    for extent in expected.extents {
      if start < range.upperBound && start + extent.plaintextLength > range.lowerBound {
        touched.append(extent.id)
      }
      start += extent.plaintextLength
    }
    #expect(
      try await store.extents(of: version.number, in: range).map(\.extent.id) == touched)
  }
}
