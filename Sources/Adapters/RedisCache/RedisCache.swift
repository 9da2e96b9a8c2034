public import Metadata
public import Redis
public import Runtime
import Synchronization
public import Telemetry

/// A fact cache in a Redis server.
///
/// Each call has its turn on a thread of a small pool. After a failure nobody asks for a while that
/// doubles from a second to half a minute, so that a server that is away costs next to nothing.
public final class RedisCache: FactCache {
  /// What values may be large at most; larger ones are not kept.
  public static let maximumValueLength = 256 << 10
  private static let shortestPause: UInt64 = 1_000_000_000
  private static let longestPause: UInt64 = 30_000_000_000
  /// Keys that one step of a walk asks for.
  private static let walkCount = "512"
  /// Steps of a walk at most.
  private static let walkSteps = 100_000

  /// A connection that one call at a time has.
  private final class Idle: @unchecked Sendable {
    let connection: RedisConnection
    init(_ connection: RedisConnection) { self.connection = connection }
  }

  private struct State {
    var idle: [Idle] = []
    var statistics = FactCacheStatistics()
    var failuresInARow = 0
    /// No call before this time of the monotonic clock.
    var closedUntil: UInt64 = 0
  }

  private let address: RedisAddress
  private let prefix: String
  private let timeout: Int
  private let pool: ThreadPool
  private let log: Log
  private let now: @Sendable () -> UInt64
  private let state = Mutex(State())

  /// Uses the server at `address`; all keys begin with `prefix` there. Nothing is connected yet.
  ///
  /// `timeout` bounds each exchange in milliseconds; `now` is a monotonic clock in nanoseconds.
  public init(
    address: RedisAddress, prefix: String, timeout: Int = 100, pool: ThreadPool, log: Log,
    now: @escaping @Sendable () -> UInt64 = { MonotonicTime.nanoseconds }
  ) {
    self.address = address
    self.prefix = prefix
    self.timeout = timeout
    self.pool = pool
    self.log = log.named("cache")
    self.now = now
  }

  /// What it has answered.
  public var statistics: FactCacheStatistics { state.withLock { $0.statistics } }

  /// Whether calls are made at all: not for a while after a failure.
  public var isOpen: Bool { now() >= state.withLock { $0.closedUntil } }

  /// The value of a key; nil when it is not there or the cache fails.
  public func value(of key: String) async -> [UInt8]? {
    var found: [UInt8]?
    if case .bytes(let bytes)? = await run([["GET", prefix + key].utf8])?.first,
      bytes.count <= Self.maximumValueLength
    {
      found = bytes
    }
    let isHit = found != nil
    state.withLock { state in
      if isHit { state.statistics.hits += 1 } else { state.statistics.misses += 1 }
    }
    return found
  }

  /// Keeps a value for `seconds`, at least 1.
  public func keep(_ value: [UInt8], as key: String, seconds: Int) async {
    guard value.count <= Self.maximumValueLength else { return }
    let name = Array((prefix + key).utf8)
    _ = await run([[Array("SET".utf8), name, value] + ["EX", "\(max(seconds, 1))"].utf8])
  }

  /// Forgets keys.
  public func forget(_ keys: [String]) async {
    guard !keys.isEmpty else { return }
    _ = await run([["UNLINK"].utf8 + keys.map { Array((prefix + $0).utf8) }])
  }

  /// Forgets all keys that begin with `prefix`.
  public func forgetAll(prefix wanted: String) async {
    let pattern = Self.escaped(prefix + wanted) + "*"
    var cursor = Array("0".utf8)
    for _ in 0..<Self.walkSteps {
      let step = ["SCAN"].utf8 + [cursor] + ["MATCH", pattern, "COUNT", Self.walkCount].utf8
      guard case .array(let answer)? = await run([step])?.first, answer.count == 2,
        case .bytes(let next) = answer[0], case .array(let names) = answer[1]
      else { return }
      let keys = names.compactMap { name -> [UInt8]? in
        if case .bytes(let bytes) = name { bytes } else { nil }
      }
      if !keys.isEmpty { _ = await run([["UNLINK"].utf8 + keys]) }
      if next == Array("0".utf8) { return }
      cursor = next
    }
  }

  /// A text as a pattern that matches nothing else.
  static func escaped(_ text: String) -> String {
    String(text.flatMap { "*?[]\\^-".contains($0) ? ["\\", $0] : [$0] })
  }

  /// Runs commands in one exchange; nil when the cache is closed or fails.
  private func run(_ commands: [[[UInt8]]]) async -> [RedisReply]? {
    guard isOpen else { return nil }
    do {
      let replies = try await pool.run { [self] () throws(RedisError) in
        let idle = try take()
        let replies = try idle.connection.runAll(commands)
        state.withLock { state in
          state.idle.append(idle)
          state.failuresInARow = 0
        }
        return replies
      }
      for case .failure(let code) in replies {
        fail(.refused(code))
        return nil
      }
      return replies
    } catch {
      fail(error)
      return nil
    }
  }

  private func take() throws(RedisError) -> Idle {
    if let idle = state.withLock({ $0.idle.popLast() }) { return idle }
    return Idle(try RedisConnection(to: address, milliseconds: timeout))
  }

  private func fail(_ error: RedisError) {
    let time = now()
    let isFirst = state.withLock { state in
      state.statistics.failures += 1
      // Calls that were on their way fail together: they count once.
      guard time >= state.closedUntil else { return false }
      state.failuresInARow += 1
      let pause = Self.shortestPause << UInt64(min(state.failuresInARow - 1, 5))
      state.closedUntil = time &+ min(pause, Self.longestPause)
      state.idle = []
      return state.failuresInARow == 1
    }
    if isFirst { log.warning("the cache is away for now", [("reason", "\(error)")]) }
  }
}

extension [String] {
  /// Each as bytes.
  fileprivate var utf8: [[UInt8]] { map { [UInt8]($0.utf8) } }
}
