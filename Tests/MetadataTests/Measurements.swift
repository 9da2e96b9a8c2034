import Base
import Foundation
import Metadata
import MetadataSQLite
import Runtime
import Synchronization
import Testing

/// Figures, not tests: `S3STORAGE_MEASURE=1 swift test -c release --filter Measurements`.
@Suite(
  "Measurements", .serialized,
  .enabled(if: ProcessInfo.processInfo.environment["S3STORAGE_MEASURE"] != nil))
struct Measurements {
  private func cpu() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
  }

  private func wall() -> Double { Double(MonotonicTime.nanoseconds) / 1e3 }

  private func report(
    _ name: String, count: Int, from start: (cpu: Double, wall: Double)
  ) {
    let cpu = (self.cpu() - start.cpu) / Double(count)
    let wall = (self.wall() - start.wall) / Double(count)
    print(
      "measured: \(name): cpu \((cpu * 100).rounded() / 100) µs,",
      "wall \((wall * 100).rounded() / 100) µs each of \(count)")
  }

  private var start: (cpu: Double, wall: Double) { (cpu(), wall()) }

  private func key(_ number: Int) -> [UInt8] {
    let text = String(number)
    return Array(("data/2026/" + String(repeating: "0", count: 9 - text.count) + text).utf8)
  }

  @Test("commits of 4 KiB inline by 32 tasks, and looking them up")
  func commits() async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    let (tasks, each) = (32, 1000)
    let sealed = fixture.random.bytes(4112)
    let wrappedKey = fixture.random.bytes(60)
    let checksum = fixture.random.bytes(8)
    let attributes = ObjectAttributes(
      headers: [.init(name: "content-type", value: "application/octet-stream")])
    func put() async throws {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<tasks {
          group.addTask {
            for index in 0..<each {
              let commit = ObjectCommit(
                bucket: bucket.id, key: key((index * 7919 % each) * tasks + task),
                version: fixture.opaqueID(),
                content: .inline(
                  InlineData(
                    extent: ExtentID(high: 1, low: 2), wrappedKey: wrappedKey, transform: 0,
                    sealed: sealed)),
                size: 4096, etag: "0123456789abcdef0123456789abcdef", attributes: attributes,
                checksum: StoredChecksum(algorithm: 3, isComposite: false, value: checksum),
                storageClass: "STANDARD", owner: Fixture.owner, condition: .none)
              _ = try await fixture.store.commit(commit)
            }
          }
        }
        try await group.waitForAll()
      }
    }
    for round in ["new keys", "replaced keys"] {
      let before = fixture.metadata.driver.commits
      let begun = start
      try await put()
      report("inline commit, \(round)", count: tasks * each, from: begun)
      let after = fixture.metadata.driver.commits
      print(
        "measured: mutations per transaction",
        (after.mutations - before.mutations) / (after.transactions - before.transactions))
    }
    for withContent in [true, false] {
      let begun = start
      for index in 0..<20_000 {
        _ = try await fixture.store.lookUp(
          bucket: "bucket", tenant: 1, key: key(index), versionID: nil, withContent: withContent)
      }
      report("look-up, content \(withContent)", count: 20_000, from: begun)
      let second = start
      try await fixture.metadata.driver.read { session in
        for index in 0..<20_000 {
          _ = try await SQLMetadataStore.lookUp(
            session, bucket: "bucket", tenant: 1, key: self.key(index), versionID: nil,
            withContent: withContent)
        }
      }
      report("look-up on the thread, content \(withContent)", count: 20_000, from: second)
    }
    let begun = start
    for _ in 0..<50_000 { try await fixture.metadata.driver.read { _ in } }
    report("hop", count: 50_000, from: begun)
    await fixture.metadata.close()
  }

  @Test("lists of 10 k and of 1 M keys", arguments: [10_000, 1_000_000])
  func lists(_ count: Int) async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    let made = start
    try await fixture.insertHeads(bucket, count: count) { self.key($0) }
    report("making keys", count: count, from: made)
    for round in 0..<2 {
      let begun = start
      var rows = 0
      var after: [UInt8] = []
      repeat {
        let page = try await fixture.store.list(
          ListRequest(bucket: bucket.id, after: after, limit: 1000))
        rows += page.rows.count
        after = page.next ?? []
      } while !after.isEmpty
      #expect(rows == count)
      report("flat list of \(count), round \(round)", count: rows, from: begun)
    }
    let folders = try await fixture.bucket("folders")
    let perFolder = count / 1000
    try await fixture.insertHeads(folders, count: count) { number in
      self.key(number / perFolder) + Array("/\(number % perFolder + 1000)".utf8)
    }
    for _ in 0..<2 {
      let begun = start
      for _ in 0..<10 {
        let page = try await fixture.store.list(
          ListRequest(
            bucket: folders.id, prefix: .init(key: "data/2026/"), delimiter: .init(key: "/"),
            limit: 1000))
        #expect(page.rows.count == 1000 && page.next == nil)
      }
      report("1000 prefixes × \(perFolder)", count: 10_000, from: begun)
    }
    let singles = try await fixture.bucket("singles")
    try await fixture.insertHeads(singles, count: count) { self.key($0) + Array("/x".utf8) }
    let begun = start
    var after: [UInt8] = []
    var rows = 0
    repeat {
      let page = try await fixture.store.list(
        ListRequest(
          bucket: singles.id, prefix: .init(key: "data/2026/"), delimiter: .init(key: "/"),
          after: after, limit: 1000))
      rows += page.rows.count
      after = page.next ?? []
    } while !after.isEmpty
    #expect(rows == count)
    report("\(count) single-key prefixes", count: rows, from: begun)
    await fixture.metadata.close()
  }
}

extension Fixture {
  private static let insert = SQLStatement(
    """
    INSERT INTO objects(
      bucket_id, key, version, null_version, sequence, live, size, etag, modified_ms, owner_id,
      storage_class, checksum_kind)
    VALUES($1, $2, $3, $3, 1, 1, 4096, '0123456789abcdef0123456789abcdef', 1, 1, 'STANDARD', 3)
    """)

  /// Makes head rows without what is behind them.
  func insertHeads(
    _ bucket: Bucket, count: Int, _ key: @escaping @Sendable (Int) -> [UInt8]
  ) async throws {
    for start in stride(from: 0, to: count, by: 10_000) {
      try await metadata.driver.write(cost: 1 << 20) { session in
        for number in start..<min(start + 10_000, count) {
          try await session.run(
            Self.insert, [.int(bucket.id.number), .bytes(key(number)), .int(Int64(number + 1))])
        }
      }
    }
  }
}

extension Measurements {
  @Test("Complete of 10,000 parts, and replacing what it made")
  func complete() async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    let key = [UInt8](key: "large")
    for round in 0..<2 {
      let upload = try await fixture.store.createUpload(
        MultipartUpload(
          id: fixture.opaqueID(), bucket: bucket.id, key: key, initiated: fixture.clock.now,
          owner: Fixture.owner, attributes: ObjectAttributes(), storageClass: "STANDARD",
          checksumAlgorithm: 0, checksumIsComposite: false))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<100 {
          group.addTask {
            for index in 0..<100 {
              let extent = fixture.extent(5 << 20)
              _ = try await fixture.store.commitPart(
                UploadedPart(
                  number: task * 100 + index + 1, size: 5 << 20, etag: "e",
                  lastModified: fixture.clock.now, checksum: nil, extent: extent.id),
                extent: extent, upload: upload.id)
            }
          }
        }
        try await group.waitForAll()
      }
      let parts = try await fixture.store.parts(of: upload.id, after: 0, limit: 10_000)
      #expect(parts.count == 10_000)
      let begun = start
      let made = try await fixture.store.complete(
        UploadCompletion(
          upload: upload.id, bucket: bucket.id, key: key, parts: parts,
          version: fixture.opaqueID(), etag: "x-10000", checksum: nil, condition: .none))
      report("complete of 10,000 parts, round \(round)", count: 1, from: begun)
      let ranges = start
      for index in 0..<10_000 {
        let offset = Int64(index) * (5 << 20) + 7
        let links = try await fixture.store.extents(of: made.number, in: offset..<offset + 1)
        #expect(links.count == 1)
      }
      report("extents of one range of 10,000 parts", count: 10_000, from: ranges)
    }
    let begun = start
    _ = try await fixture.store.delete(
      bucket: bucket.id, key: key, versionID: nil, condition: .none)
    report("delete of 10,000 parts", count: 1, from: begun)
    await fixture.metadata.close()
  }

  @Test("a list of 1000 keys among 100,000 deleted ones")
  func deleted() async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    try await fixture.insertHeads(bucket, count: 100_000) { self.key($0) }
    let kill = SQLStatement("UPDATE objects SET live = 0 WHERE version % 100 <> 0")
    try await fixture.metadata.driver.write(cost: 1) { session in
      _ = try await session.run(kill, [])
    }
    let begun = start
    for _ in 0..<10 {
      let page = try await fixture.store.list(ListRequest(bucket: bucket.id, limit: 1000))
      #expect(page.rows.count == 1000)
    }
    report("each live key between 99 deleted", count: 10_000, from: begun)
    await fixture.metadata.close()
  }
}
