import Base
import Glibc
import Metadata
import MetadataPostgres
import Runtime
import Synchronization

/// What metadata in PostgreSQL costs: prints, as JSON, the mean time of each kind of statement,
/// what a small GET takes, and durable commits in a second on one bucket; changes also as a cluster
/// makes them, with the marks of a change log whose stores cost nothing.
///
///     s3storage-bench sql [DATABASE_URL]
///
/// Works in a bucket of its own of the database that the argument, or the variable, names, which it
/// migrates. The objects are left behind.
enum SQLFigures {
  private static let tasks = 32
  private static let commitsEach = 250
  private static let repetitions = 2000

  static func run(url: String) async throws -> String {
    _ = try await PostgresMetadata.migrate(url: url)
    let metadata = try await PostgresMetadata.open(url: url)
    let store = metadata.store
    let lease = try await store.beginWriter(minimum: 0, ringVersion: 0)
    let name = "bench-" + String(SystemRandom().next(), radix: 16)
    let bucket = try await store.createBucket(
      name: name, tenant: 1, owner: UserID(1), purpose: .s3)
    let bench = Bench(
      metadata: metadata, bucket: bucket, epoch: lease.epoch, counter: Atomic<UInt64>(1))
    let figures = try await bench.measure() + bench.measureLogged()
    try await store.endWriter()
    await metadata.close()
    return "{\n" + figures.map { "  \"\($0.name)\": \($0.value)" }.joined(separator: ",\n")
      + "\n}\n"
  }

  struct Figure: Sendable {
    var name: String
    var value: String
  }

  private final class Bench: Sendable {
    let metadata: PostgresMetadata
    let bucket: Bucket
    let epoch: UInt64
    let counter: Atomic<UInt64>
    let random = SeededRandom(seed: 7)

    var store: SQLMetadataStore { metadata.store }

    init(
      metadata: PostgresMetadata, bucket: Bucket, epoch: UInt64, counter: consuming Atomic<UInt64>
    ) {
      self.metadata = metadata
      self.bucket = bucket
      self.epoch = epoch
      self.counter = counter
    }

    func measure() async throws -> [Figure] {
      var figures: [Figure] = []
      // Connections are made and statements prepared before anything counts.
      _ = try await commits("warm-up", inline: true)
      figures += try await commitRates("")
      figures.append(
        try await mean("small_get") { index in
          _ = try await self.store.lookUp(
            bucket: self.bucket.name, tenant: 1, key: self.key("inline_4_kib", index),
            versionID: nil, withContent: true)
        })
      figures.append(
        try await mean("look_up") { index in
          _ = try await self.store.lookUp(
            bucket: self.bucket.name, tenant: 1, key: self.key("extents", index), versionID: nil,
            withContent: false)
        })
      figures += try await changes("")
      figures.append(
        try await mean("list_1000", repetitions: 50) { _ in
          _ = try await self.store.list(ListRequest(bucket: self.bucket.id, limit: 1000))
        })
      figures.append(try await mean("setting") { _ in _ = try await self.store.setting("none") })
      return figures
    }

    /// Changes alone: what is read does not look at the log.
    func measureLogged() async throws -> [Figure] {
      let log = InstantLog()
      store.setChangeSink(log)
      defer { store.setChangeSink(nil) }
      return try await withThrowingTaskGroup(of: [Figure]?.self) { group in
        group.addTask {
          while (try? await Task.sleep(for: .seconds(1))) != nil {
            try await self.store.forgetMarks(log.takeLogged())
          }
          return nil
        }
        group.addTask { try await self.commitRates("logged_") + self.changes("logged_") }
        defer { group.cancelAll() }
        return try await group.next().flatMap(\.self) ?? []
      }
    }

    func commitRates(_ prefix: String) async throws -> [Figure] {
      var figures: [Figure] = []
      for (label, inline) in [("inline_4_kib", true), ("extents", false)] {
        for round in ["new", "replaced"] {
          let seconds = try await commits(prefix + label, inline: inline)
          let rate = Double(tasks * commitsEach) / seconds
          figures.append(
            Figure(name: "commits_per_second_\(prefix)\(label)_\(round)", value: "\(Int(rate))"))
        }
      }
      return figures
    }

    func changes(_ prefix: String) async throws -> [Figure] {
      let commit = try await mean("\(prefix)commit_inline") { index in
        try await self.commit(self.key("\(prefix)single", index), inline: true)
      }
      let delete = try await mean("\(prefix)delete") { index in
        _ = try await self.store.delete(
          bucket: self.bucket.id, key: self.key("\(prefix)single", index), versionID: nil,
          condition: .none)
      }
      return [commit, delete]
    }

    func key(_ label: String, _ index: Int) -> [UInt8] { Array("\(label)/\(index)".utf8) }

    /// Wall-clock µs, round trips and µs of a round trip, each by itself.
    func mean(
      _ name: String, repetitions: Int = SQLFigures.repetitions,
      _ body: (Int) async throws -> Void
    ) async throws -> Figure {
      let before = metadata.driver.metrics.durations
      let begun = MonotonicTime.nanoseconds
      for index in 0..<repetitions { try await body(index) }
      let nanoseconds = MonotonicTime.nanoseconds - begun
      let after = metadata.driver.metrics.durations
      let trips = after.counts.reduce(0, +) - before.counts.reduce(0, +)
      let tripTime = (after.sum - before.sum) * 1e6 / Double(max(trips, 1))
      let each = Double(nanoseconds) / 1000 / Double(repetitions)
      return Figure(
        name: name,
        value: "{\"microseconds\": \(Int(each)), \"round_trips\": "
          + "\(tenths(Double(trips) / Double(repetitions))), "
          + "\"microseconds_per_round_trip\": \(Int(tripTime))}")
    }

    func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    func commits(_ label: String, inline: Bool) async throws -> Double {
      let begun = MonotonicTime.nanoseconds
      try await withThrowingTaskGroup(of: Void.self) { group in
        for task in 0..<tasks {
          group.addTask {
            for index in 0..<commitsEach {
              try await self.commit(self.key(label, index * tasks + task), inline: inline)
            }
          }
        }
        try await group.waitForAll()
      }
      return Double(MonotonicTime.nanoseconds - begun) / 1e9
    }

    func commit(_ key: [UInt8], inline: Bool) async throws {
      let count = counter.add(1, ordering: .relaxed).newValue
      let id = OpaqueID(number: VersionNumber(epoch: epoch, counter: count), nonce: random.next())
      let content: ObjectCommit.Content =
        inline
        ? .inline(
          InlineData(
            extent: extentID(), wrappedKey: random.bytes(60), transform: 0,
            sealed: [UInt8](repeating: 7, count: 4112)))
        : .extents([
          Extent(
            id: extentID(), dataCount: 4, parityCount: 2, plaintextLength: 1 << 20, transform: 0,
            wrappedKey: random.bytes(60), stores: (1...6).map { StoreID(high: 7, low: $0) },
            digests: (0..<6).compactMap { _ in SHA256Digest(random.bytes(32)) }, missing: 0)
        ])
      _ = try await store.commit(
        ObjectCommit(
          bucket: bucket.id, key: key, version: id, content: content,
          size: inline ? 4096 : 1 << 20, etag: "0123456789abcdef0123456789abcdef",
          attributes: ObjectAttributes(), checksum: nil, storageClass: "STANDARD",
          owner: UserID(1), condition: .none))
    }

    func extentID() -> ExtentID {
      ExtentID(
        epoch: epoch, random: (UInt16(truncatingIfNeeded: random.next()), random.next()))
    }
  }
}
