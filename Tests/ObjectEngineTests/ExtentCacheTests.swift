import Base
import Metadata
import Runtime
import Synchronization
import TestSupport
import Testing

@testable import ObjectEngine

/// A fact cache in memory that can be looked into.
private final class MemoryCache: FactCache {
  let values = Mutex<[String: [UInt8]]>([:])
  let hits = Atomic<Int>(0)

  func value(of key: String) async -> [UInt8]? {
    let value = values.withLock { $0[key] }
    if value != nil { hits.wrappingAdd(1, ordering: .relaxed) }
    return value
  }
  func keep(_ value: [UInt8], as key: String, seconds: Int) async {
    values.withLock { $0[key] = value }
  }
  func forget(_ keys: [String]) async {
    values.withLock { values in for key in keys { values[key] = nil } }
  }
  func forgetAll(prefix: String) async {
    values.withLock { $0 = $0.filter { !$0.key.hasPrefix(prefix) } }
  }
  var statistics: FactCacheStatistics { FactCacheStatistics() }
}

@Suite("Extents in a cache")
struct ExtentCacheTests {
  private struct Scene {
    let installation: Installation
    let memory = MemoryCache()
    let cache: ExtentCache
    let engine: ObjectEngine
    let bytes = content(2_500_000, seed: 7)
    let version: ObjectVersion

    init() async throws {
      installation = try await Installation.open(InstallationPlan(seed: 7))
      cache = ExtentCache(
        cache: memory, keys: installation.plan.keys, random: installation.random)
      let plain = installation.engine
      engine = ObjectEngine(
        configuration: plain.configuration, metadata: plain.metadata, stores: plain.stores,
        keys: plain.keys, buffers: plain.buffers, pool: plain.pool, writer: plain.writer,
        clusterID: plain.clusterID, clock: plain.clock, random: installation.random, log: .none,
        extentCache: cache)
      let bucket = try await installation.makeBucket()
      try await installation.put("key", bytes, in: bucket)
      let found = try await installation.store.lookUp(
        bucket: "bucket", tenant: 1, key: Array("key".utf8), versionID: nil, withContent: true)
      version = try #require(found.version)
    }

    func read(_ range: Range<Int64>) async throws -> [UInt8] {
      let read = try await engine.read(version, range)
      let result = Mutex<[UInt8]>([])
      try await read.stream { buffer, range in
        let piece = unsafe buffer.withBytes(range) { unsafe Array($0) }
        result.withLock { $0 += piece }
      }
      return result.withLock { $0 }
    }
  }

  @Test("a second read asks the cache, whatever range it wants")
  func hit() async throws {
    let scene = try await Scene()
    #expect(try await scene.read(0..<1000) == Array(scene.bytes[0..<1000]))
    #expect(scene.memory.hits.load(ordering: .relaxed) == 0)
    #expect(
      try await scene.read(1_000_000..<2_500_000) == Array(scene.bytes[1_000_000..<2_500_000]))
    #expect(scene.memory.hits.load(ordering: .relaxed) == 1)
    await scene.installation.close()
  }

  @Test("chunks that moved since are found where they are now, and the cache learns it")
  func moved() async throws {
    let scene = try await Scene()
    _ = try await scene.read(0..<10)
    var links = try #require(await scene.cache.links(of: scene.version.number))
    links[0].extent.stores = Array(links[0].extent.stores[1...] + [links[0].extent.stores[0]])
    await scene.cache.keep(links, of: scene.version.number)
    #expect(try await scene.read(0..<2_500_000) == scene.bytes)
    let learned = try #require(await scene.cache.links(of: scene.version.number))
    #expect(learned[0].extent.stores != links[0].extent.stores)
    await scene.installation.close()
  }

  @Test("what was tampered with, or belongs to another version, does not count")
  func tampered() async throws {
    let scene = try await Scene()
    _ = try await scene.read(0..<10)
    let (name, value) = try #require(scene.memory.values.withLock { $0.first })
    for index in stride(from: 0, to: value.count, by: 37) {
      var changed = value
      changed[index] ^= 0x40
      scene.memory.values.withLock { $0[name] = changed }
      #expect(await scene.cache.links(of: scene.version.number) == nil)
    }
    let other = VersionNumber(rawValue: scene.version.number.rawValue + 1)
    scene.memory.values.withLock { $0["extents/\(other.rawValue)"] = value }
    #expect(await scene.cache.links(of: other) == nil)
    #expect(try await scene.read(0..<10) == Array(scene.bytes[0..<10]))
    await scene.installation.close()
  }

  @Test(
    "links are the same after coding, and no bytes make the decoder trap", arguments: [1, 2, 3])
  func coding(seed: UInt64) async throws {
    let scene = try await Scene()
    _ = try await scene.read(0..<10)
    let links = try #require(await scene.cache.links(of: scene.version.number))
    let bytes = ExtentLink.encode(links)
    #expect(try ExtentLink.decode(bytes) == links)
    let random = SeededRandom(seed: seed)
    for _ in 0..<2000 {
      var changed = bytes
      for _ in 0..<(1 + Int(random.next() % 4)) {
        changed[Int(random.next() % UInt64(changed.count))] = UInt8(
          truncatingIfNeeded: random.next())
      }
      if random.next() % 3 == 0 { changed = Array(changed.prefix(Int(random.next() % 600))) }
      _ = try? ExtentLink.decode(changed)
    }
    await scene.installation.close()
  }
}
