import Base
import Metadata
import Runtime
import Synchronization

/// Buckets that were looked up a moment ago, for writes of objects: their commit finds out for
/// itself whether the bucket is still there and keeps versions, so that only what cannot change in
/// the life of a bucket's id is believed, and that for a second at most.
final class BucketCache: Sendable {
  /// How long a bucket is believed, in milliseconds.
  static let life: Int64 = 1000
  /// Buckets kept at most.
  private static let limit = 4096

  private struct Name: Hashable {
    var tenant: Int64
    var name: String
  }

  private let clock: any WallClock
  private let known = Mutex<[Name: (bucket: Bucket, until: Int64)]>([:])

  init(clock: any WallClock) { self.clock = clock }

  /// The bucket, when it was looked up within the last second.
  func bucket(_ name: String, tenant: Int64) -> Bucket? {
    let now = clock.now.milliseconds
    return known.withLock { known in
      guard let entry = known[Name(tenant: tenant, name: name)],
        entry.until > now, entry.until - now <= Self.life
      else { return nil }
      return entry.bucket
    }
  }

  /// Takes note of a bucket that was just looked up.
  func add(_ bucket: Bucket, tenant: Int64) {
    let until = clock.now.milliseconds + Self.life
    known.withLock { known in
      if known.count >= Self.limit { known.removeAll(keepingCapacity: true) }
      known[Name(tenant: tenant, name: bucket.name)] = (bucket, until)
    }
  }

  /// Forgets a bucket.
  func remove(_ name: String, tenant: Int64) {
    known.withLock { _ = $0.removeValue(forKey: Name(tenant: tenant, name: name)) }
  }
}
