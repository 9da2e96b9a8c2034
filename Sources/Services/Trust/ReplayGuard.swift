import Base
import Synchronization

/// Remembers the nonces of proven requests for as long as their time is accepted.
final class ReplayGuard: Sendable {
  private static let limit = 65_536
  private let seen = Mutex<[[UInt8]: Int64]>([:])

  /// Whether a nonce is new. Only proven requests come here, so that strangers cannot fill it.
  func admit(_ nonce: [UInt8], now: Timestamp) -> Bool {
    let now = now.milliseconds
    return seen.withLock { seen in
      if seen.count >= Self.limit { seen = seen.filter { $0.value > now } }
      guard seen.count < Self.limit, seen[nonce] == nil else { return false }
      // A request may lie one window ahead, and is accepted until one window behind.
      seen[nonce] = now + 2 * TrustConfiguration.window
      return true
    }
  }
}

/// Slows down those who fail: twenty failures at once, then one every three seconds.
final class FailureLimiter: Sendable {
  private struct Bucket {
    var failures: Int64
    var updated: Int64
  }

  private static let burst: Int64 = 20
  private static let recovery: Int64 = 3000
  private static let limit = 4096
  private let buckets = Mutex<[String: Bucket]>([:])

  /// Throws `tooMany` when a sender has failed too often.
  func check(_ sender: String, now: Timestamp) throws(TrustError) {
    let isOpen = buckets.withLock { buckets in
      let bucket = Self.current(buckets[Self.name(sender, buckets)], now.milliseconds)
      return bucket.failures < Self.burst
    }
    guard isOpen else { throw .tooMany }
  }

  /// Counts a failure.
  func fail(_ sender: String, now: Timestamp) {
    buckets.withLock { buckets in
      let now = now.milliseconds
      if buckets.count >= Self.limit {
        buckets = buckets.filter { Self.current($0.value, now).failures > 0 }
      }
      let name = Self.name(sender, buckets)
      var bucket = Self.current(buckets[name], now)
      bucket.failures = min(Self.burst, bucket.failures + 1)
      buckets[name] = bucket
    }
  }

  /// Senders that no room is left for share one bucket.
  private static func name(_ sender: String, _ buckets: [String: Bucket]) -> String {
    buckets[sender] != nil || buckets.count < limit ? sender : ""
  }

  private static func current(_ bucket: Bucket?, _ now: Int64) -> Bucket {
    guard let bucket else { return Bucket(failures: 0, updated: now) }
    let recovered = max(0, now - bucket.updated) / recovery
    return Bucket(
      failures: max(0, bucket.failures - recovered),
      updated: recovered > 0 ? now : min(bucket.updated, now))
  }
}
