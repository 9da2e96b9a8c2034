import Base
import ChunkStore
import Metadata
import Runtime
import TestSupport
import Testing

/// What administrators do with chunks that the metadata does not know.
struct QuarantineEndpointTests {
  private struct Orphan {
    var extent: Extent
    var content: [UInt8]
  }

  /// A gateway over a database that was restored, and does not know these objects.
  private func restored(
    seed: UInt64, _ objects: [(key: String, size: Int)]
  ) async throws -> (site: RecoverySite, orphans: [String: Orphan]) {
    let fixture = try RecoveryFixture(seed: seed)
    let node = try await fixture.open("original", changeLog: .off)
    try await node.put("taken", fixture.random.bytes(30_000), in: try await node.bucket("bucket"))
    var orphans: [String: Orphan] = [:]
    for (key, size) in objects {
      let content = fixture.random.bytes(size)
      let extent = try await node.orphan(key, content, kind: key == "part" ? .part : .object)
      orphans[key] = Orphan(extent: extent, content: content)
    }
    await node.close()
    let again = try await fixture.open("original", changeLog: .off)
    try await again.store.setSetting("hold_sweep", [1])
    return (try RecoverySite(again), orphans)
  }

  /// The quarantine as the API lists it, by key.
  private func listed(_ client: AdminTestClient) async throws -> [String: JSONValue] {
    let list = try await client.fetch("GET", "recovery/quarantine")["extents"]?.elements ?? []
    return Dictionary(
      list.map { ($0["key"]?.text ?? "", $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Deletes chunks of an extent.
  private func remove(
    _ chunks: [Int], of extent: Extent, _ fixture: RecoveryFixture
  ) async throws {
    try await withTaskExecutorPreference(RecoveryFixture.pool) {
      for index in chunks {
        let store = try #require(fixture.stores.first { $0.id == extent.stores[index] })
        try await store.delete([ChunkID(extent: extent.id, index: UInt8(index))])
      }
    }
  }

  @Test("A reconciliation tells what it found, lists what only chunks know, and frees the sweep")
  func reconcile() async throws {
    let (site, orphans) = try await restored(seed: 241, [("lost", 300_000), ("bad", 20_000)])
    let fixture = site.node.fixture
    try await site.serving { root in
      #expect(try await root.fetch("GET", "status")["sweep_held"]?.bool == true)
      #expect(try await root.fetch("GET", "recovery/quarantine")["extents"]?.elements == [])
      let kept = try #require(try await site.node.store.extents(after: nil, limit: 10).first)
      // One chunk of an object is gone, and so many of "bad" that nobody can read it.
      try await remove([1], of: kept, fixture)
      let bad = try #require(orphans["bad"]?.extent)
      try await remove([0, 2, 4], of: bad, fixture)
      let report = try await root.fetch("POST", "recovery/reconcile")
      // 18 of three extents but for the four, and the wrapped keys in each of six stores.
      #expect(report["chunks"]?.integer == 20)
      #expect(report["extents"]?.integer == 1 && report["missing"]?.integer == 1)
      #expect(report["quarantined"]?.integer == 2 && report["moved"]?.integer == 0)
      #expect(report["absent_stores"]?.integer == 0 && report["complete"]?.bool == true)
      let status = try await root.fetch("GET", "status")
      #expect(status["sweep_held"]?.bool == false)
      #expect(status["counts"]?["quarantined"]?.integer == 2)
      #expect(try await root.fetch("GET", "recovery")["quarantined"]?.integer == 2)
      let found = try await listed(root)
      #expect(Set(found.keys) == ["lost", "bad"])
      let lost = try #require(found["lost"])
      #expect(lost["kind"]?.text == "object" && lost["bucket"]?.text == "bucket")
      #expect(lost["version"]?.text == "" && lost["part"]?.integer == 0)
      #expect(lost["size"]?.integer == 300_000)
      #expect(lost["modified_at"]?.text == fixture.clock.now.iso8601)
      #expect(lost["found_at"]?.text == fixture.clock.now.iso8601)
      #expect(lost["readable"]?.bool == true && lost["chunks"]?.integer == 6)
      let unreadable = try #require(found["bad"])
      #expect(unreadable["extent"]?.text == "\(bad.id)")
      #expect(unreadable["readable"]?.bool == false && unreadable["chunks"]?.integer == 3)
      try await root.expect(
        409, "conflict", "POST", "recovery/quarantine/\(bad.id)/adopt", json: "{}")
    }
  }

  @Test("A store that is away leaves a reconciliation incomplete, and the sweep held")
  func absentStore() async throws {
    let fixture = try RecoveryFixture(seed: 242)
    let node = try await fixture.open(
      "original", stores: fixture.storeSet(losing: [0]), changeLog: .off)
    try await node.store.setSetting("hold_sweep", [1])
    try await RecoverySite(node).serving { root in
      let report = try await root.fetch("POST", "recovery/reconcile")
      #expect(report["absent_stores"]?.integer == 1 && report["complete"]?.bool == false)
      #expect(try await root.fetch("GET", "status")["sweep_held"]?.bool == true)
    }
  }

  @Test("What is in quarantine becomes an object under its own name or the one that is given")
  func adopt() async throws {
    let (site, orphans) = try await restored(
      seed: 243, [("lost", 300_000), ("taken", 20_000), ("part", 20_000), ("other", 20_000)])
    let node = site.node
    try await site.serving { root in
      let bucket = try await node.bucket("bucket")
      let second = try await node.bucket("second")
      let original = try await node.read("taken", in: bucket)
      _ = try await root.fetch("POST", "recovery/reconcile")
      let paths = try await listed(root).mapValues {
        "recovery/quarantine/\($0["extent"]?.text ?? "")/adopt"
      }
      func path(_ key: String) throws -> String { try #require(paths[key]) }

      let made = try await root.fetch("POST", try path("lost"))
      #expect(made == ["bucket": "bucket", "key": "lost"])
      #expect(try await node.read("lost", in: bucket) == orphans["lost"]?.content)
      try await root.expect(404, "not_found", "POST", try path("lost"))

      for json in ["{}", "{\"replace\":\"no\"}"] {
        try await root.expect(409, "conflict", "POST", try path("taken"), json: json)
        #expect(try await node.read("taken", in: bucket) == original)
      }
      _ = try await root.fetch("POST", try path("taken"), json: "{\"replace\":\"yes\"}")
      #expect(try await node.read("taken", in: bucket) == orphans["taken"]?.content)

      try await root.expect(409, "conflict", "POST", try path("part"))
      let part = try await root.fetch("POST", try path("part"), json: "{\"key\":\"whole\"}")
      #expect(part == ["bucket": "bucket", "key": "whole"])
      #expect(try await node.read("whole", in: bucket) == orphans["part"]?.content)

      try await root.expect(
        409, "conflict", "POST", try path("other"), json: "{\"bucket\":\"nowhere\"}")
      let moved = try await root.fetch(
        "POST", try path("other"), json: "{\"bucket\":\"second\",\"key\":\"new\"}")
      #expect(moved == ["bucket": "second", "key": "new"])
      #expect(try await node.read("new", in: second) == orphans["other"]?.content)
      #expect(try await listed(root).isEmpty)
    }
  }

  @Test("What is in quarantine is dropped once, and orders that name nothing are refused")
  func drop() async throws {
    let (site, _) = try await restored(seed: 244, [("lost", 20_000)])
    try await site.serving { root in
      _ = try await root.fetch("POST", "recovery/reconcile")
      let id = try #require(try await listed(root)["lost"]?["extent"]?.text)
      let adopt = "recovery/quarantine/\(id)/adopt"
      for json in ["{\"name\":\"x\"}", "{\"key\":1}", "{\"replace\":true}", "[]", "{"] {
        try await root.expect(400, "invalid_request", "POST", adopt, json: json)
      }
      for wrong in ["x", String(id.dropLast()), "\(id)0"] {
        let path = "recovery/quarantine/\(wrong)"
        try await root.expect(400, "invalid_request", "POST", "\(path)/adopt")
        try await root.expect(400, "invalid_request", "DELETE", path)
        try await root.expect(
          400, "invalid_request", "GET", "recovery/quarantine", query: "after=\(wrong)")
      }
      let nothing = "recovery/quarantine/\(ExtentID(epoch: 1, random: (1, 1)))"
      try await root.expect(404, "not_found", "POST", "\(nothing)/adopt")
      try await root.expect(404, "not_found", "DELETE", nothing)
      #expect(try await listed(root).count == 1)
      let dropped = try await root.fetch("DELETE", "recovery/quarantine/\(id)")
      #expect(dropped == ["dropped": .string(id)])
      #expect(try await listed(root).isEmpty)
      try await root.expect(404, "not_found", "DELETE", "recovery/quarantine/\(id)")
      #expect(try await root.fetch("GET", "status")["counts"]?["tombstones"]?.integer == 1)
    }
  }

  @Test("A long quarantine is listed in pages, each extent once and by what it is")
  func pages() async throws {
    let fixture = try RecoveryFixture(seed: 245)
    let node = try await fixture.open("original", changeLog: .off)
    let kinds = ["unknown", "object", "part", "file", "snapshot", "change log", "unknown"]
    let count = 1003
    for number in 0..<count {
      let isKept = try await node.store.quarantine(
        QuarantinedExtent(
          id: ExtentID(epoch: 99, random: (1, UInt64(number))), kind: number % kinds.count,
          bucket: "bucket", key: Array("key-\(number)".utf8), version: "v", partNumber: 7, size: 5,
          modified: fixture.clock.now, dataCount: 4, parityCount: 2,
          stores: fixture.storeIDs.map { $0 }, found: fixture.clock.now))
      #expect(isKept)
    }
    try await RecoverySite(node).serving { root in
      let first = try await root.fetch("GET", "recovery/quarantine")
      let page = try #require(first["extents"]?.elements)
      #expect(page.count == 1000)
      let next = try #require(first["next"]?.text)
      #expect(page.last?["extent"]?.text == next)
      let second = try await root.fetch("GET", "recovery/quarantine", query: "after=\(next)")
      #expect(second["next"] == .null)
      let all = page + (second["extents"]?.elements ?? [])
      #expect(all.compactMap { $0["key"]?.text } == (0..<count).map { "key-\($0)" })
      for (number, item) in all.enumerated() {
        #expect(item["kind"]?.text == kinds[number % kinds.count])
      }
      #expect(all[0]["part"]?.integer == 7 && all[0]["version"]?.text == "v")
    }
  }
}
