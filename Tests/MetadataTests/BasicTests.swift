import Base
import Metadata
import MetadataSQLite
import Testing

@Suite("Objects in metadata")
struct BasicTests {
  @Test(
    "an inline object is committed, read back, replaced and deleted",
    arguments: DatabaseKind.available)
  func inline(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    var commit = fixture.inlineCommit(bucket, [0x00, 0xff, 0x41], etag: "one")
    commit.attributes = ObjectAttributes(
      headers: [.init(name: "content-type", value: "text/plain")],
      metadata: [.init(name: "colour", value: "grün")], tags: [.init(name: "a", value: "b")])
    commit.checksum = StoredChecksum(algorithm: 3, isComposite: false, value: [1, 2, 3])
    let made = try await store.commit(commit)
    #expect(made.versionID == nil)
    let found = try await store.lookUp(
      bucket: "bucket", tenant: 1, key: [0x00, 0xff, 0x41], versionID: nil, withContent: true)
    #expect(found.bucket == bucket)
    let version = try #require(found.version)
    #expect(version.number == made.number)
    #expect(version.attributes == commit.attributes)
    #expect(version.checksum == commit.checksum)
    #expect(version.lastModified == made.lastModified)
    #expect(version.size == 5)
    #expect(version.versionID == "null")
    guard case .inline(let data) = commit.content else { return }
    #expect(version.inline == data)

    let second = try await store.commit(fixture.inlineCommit(bucket, [0x00, 0xff, 0x41]))
    #expect(second.lastModified == made.lastModified.advanced(byMilliseconds: 1))
    #expect(try await store.usage(of: bucket.id) == Usage(objects: 1, bytes: 5))
    #expect(try await store.counts().inlineObjects == 1)
    let deleted = try await store.delete(
      bucket: bucket.id, key: [0x00, 0xff, 0x41], versionID: nil, condition: .none)
    #expect(deleted == DeletedVersion(existed: true))
    let again = try await store.delete(
      bucket: bucket.id, key: [0x00, 0xff, 0x41], versionID: nil, condition: .none)
    #expect(again == DeletedVersion(existed: false))
    #expect(try await store.usage(of: bucket.id) == Usage(objects: 0, bytes: 0))
    let counts = try await store.counts()
    #expect(counts.versions == 0 && counts.inlineObjects == 0 && counts.tombstones == 0)
    try await store.deleteBucket(bucket.id)
    #expect(try await store.bucket(named: "bucket", tenant: 1) == nil)
    await fixture.close()
  }

  @Test(
    "an object of extents leaves tombstones when it is replaced and deleted",
    arguments: DatabaseKind.available)
  func extents(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    let extents = [fixture.extent(100, missing: 0b100), fixture.extent(50)]
    let made = try await store.commit(
      fixture.extentCommit(bucket, .init(key: "k"), extents: extents))
    let links = try await store.extents(of: made.number, in: 0..<150)
    #expect(links.map(\.extent) == extents)
    #expect(links.map(\.offset) == [0, 100])
    #expect(try await store.extents(of: made.number, in: 99..<100).map(\.ordinal) == [0])
    #expect(try await store.extents(of: made.number, in: 100..<101).map(\.ordinal) == [1])
    #expect(try await store.extents(of: made.number, in: 99..<101).map(\.ordinal) == [0, 1])
    let repairs = try await store.repairs(limit: 10)
    #expect(repairs.map(\.extent.id) == [extents[0].id])
    #expect(repairs.map(\.chunks) == [0b100])
    fixture.clock.advance(milliseconds: 10)
    _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
    fixture.clock.advance(milliseconds: 10)
    let tombstones = try await store.tombstones(before: fixture.clock.now, limit: 10)
    #expect(Set(tombstones.map(\.extent)) == Set(extents.map(\.id)))
    #expect(tombstones.allSatisfy { $0.unconfirmed == 0b111111 && $0.stores == Fixture.stores })
    #expect(try await store.repairs(limit: 10).isEmpty)
    try await store.confirm(extents.map { ($0.id, 0b000111) })
    #expect(
      try await store.tombstones(before: fixture.clock.now, limit: 10)
        .allSatisfy { $0.unconfirmed == 0b111000 })
    try await store.confirm(extents.map { ($0.id, 0b111000) })
    #expect(try await store.tombstones(before: fixture.clock.now, limit: 10).isEmpty)
    await fixture.close()
  }

  @Test("a list pages through keys and common prefixes", arguments: DatabaseKind.available)
  func listing(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let bucket = try await fixture.bucket()
    for key in ["a", "b/1", "b/2", "b0", "c/x/1", "c/y", "d"] {
      _ = try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: key)))
    }
    var names: [String] = []
    var after: [UInt8] = []
    repeat {
      let page = try await fixture.store.list(
        ListRequest(bucket: bucket.id, delimiter: .init(key: "/"), after: after, limit: 2))
      for row in page.rows {
        switch row {
        case .object(let object): names.append(String(decoding: object.key, as: UTF8.self))
        case .commonPrefix(let prefix): names.append(String(decoding: prefix, as: UTF8.self))
        }
      }
      after = page.next ?? []
    } while !after.isEmpty
    #expect(names == ["a", "b/", "b0", "c/", "d"])
    await fixture.close()
  }
}
