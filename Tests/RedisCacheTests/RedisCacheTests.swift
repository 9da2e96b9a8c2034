import Metadata
import Redis
import RedisCache
import Runtime
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite("The cache in Redis")
struct RedisCacheTests {
  private static let pool = ThreadPool(name: "redis", threadCount: 4)

  private final class Time: Sendable {
    let nanoseconds = Atomic<UInt64>(1)
    func advance(seconds: UInt64) {
      nanoseconds.wrappingAdd(seconds * 1_000_000_000, ordering: .relaxed)
    }
  }

  private func cache(
    _ server: RedisServer, prefix: String = "s3:", timeout: Int = 20_000, time: Time = Time()
  ) throws -> RedisCache {
    RedisCache(
      address: try RedisAddress(server.url()), prefix: prefix, timeout: timeout, pool: Self.pool,
      log: .none, now: { time.nanoseconds.load(ordering: .relaxed) })
  }

  @Test("what was kept is there until it is forgotten; hits and misses are counted")
  func keeping() async throws {
    let server = try RedisServer()
    let cache = try cache(server)
    #expect(await cache.value(of: "a") == nil)
    await cache.keep([1, 2, 3], as: "a", seconds: 86_400)
    await cache.keep([], as: "b", seconds: 86_400)
    #expect(await cache.value(of: "a") == [1, 2, 3])
    #expect(await cache.value(of: "b") == [])
    await cache.forget(["a", "none"])
    #expect(await cache.value(of: "a") == nil)
    var expected = FactCacheStatistics()
    expected.hits = 2
    expected.misses = 2
    #expect(cache.statistics == expected)
  }

  @Test("forgetting by prefix takes the prefix as it is, and only keys of this cache")
  func prefixes() async throws {
    let server = try RedisServer()
    let cache = try cache(server)
    let other = try self.cache(server, prefix: "other:")
    let names = ["x*/1", "x*/2", "xx/1", "x?/1", "[x]/1", "y"]
    for name in names { await cache.keep([1], as: name, seconds: 86_400) }
    for index in 0..<600 { await cache.keep([1], as: "many/\(index)", seconds: 86_400) }
    await other.keep([2], as: "x*/1", seconds: 86_400)
    await cache.forgetAll(prefix: "x*/")
    await cache.forgetAll(prefix: "many/")
    var left: [String] = []
    for name in names where await cache.value(of: name) != nil { left.append(name) }
    #expect(left == ["xx/1", "x?/1", "[x]/1", "y"])
    #expect(await cache.value(of: "many/0") == nil)
    #expect(await cache.value(of: "many/599") == nil)
    #expect(await other.value(of: "x*/1") == [2])
  }

  @Test("values end with their time and are not kept above the limit")
  func bounds() async throws {
    let server = try RedisServer()
    let cache = try cache(server)
    await cache.keep(
      [UInt8](repeating: 1, count: RedisCache.maximumValueLength + 1), as: "large", seconds: 86_400)
    #expect(await cache.value(of: "large") == nil)
    await cache.keep([1], as: "short", seconds: 7)
    let connection = try RedisConnection(to: RedisAddress(server.url()), milliseconds: 2000)
    let left = try connection.run(["TTL", "s3:short"].map { Array($0.utf8) })
    guard case .integer(let seconds) = left else { throw RedisError.unexpectedReply }
    #expect((1...7).contains(seconds))
  }

  @Test("a server that is away costs one call a pause, and is used again when it is back")
  func away() async throws {
    let server = try RedisServer()
    let time = Time()
    let cache = try cache(server, timeout: 100, time: time)
    await cache.keep([1], as: "a", seconds: 86_400)
    server.freeze(true)
    #expect(await cache.value(of: "a") == nil)
    #expect(!cache.isOpen)
    for _ in 0..<100 { #expect(await cache.value(of: "a") == nil) }
    #expect(cache.statistics.failures == 1)
    time.advance(seconds: 1)
    #expect(cache.isOpen)
    #expect(await cache.value(of: "a") == nil)
    #expect(cache.statistics.failures == 2)
    time.advance(seconds: 1)
    #expect(!cache.isOpen)
    server.freeze(false)
    time.advance(seconds: 1)
    #expect(await cache.value(of: "a") == [1])
    server.stop()
    #expect(await cache.value(of: "a") == nil)
    try server.restart()
    time.advance(seconds: 1)
    await cache.keep([2], as: "a", seconds: 86_400)
    #expect(await cache.value(of: "a") == [2])
  }

  @Test("many tasks share a few connections")
  func concurrency() async throws {
    let server = try RedisServer()
    let cache = try cache(server)
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        group.addTask {
          await cache.keep([UInt8(index)], as: "k\(index)", seconds: 86_400)
          #expect(await cache.value(of: "k\(index)") == [UInt8(index)])
        }
      }
    }
    #expect(cache.statistics.failures == 0)
  }
}
