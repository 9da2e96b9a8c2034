/// What a cache has been asked and could answer, since the process started.
public struct FactCacheStatistics: Hashable, Sendable {
  /// Questions that it answered.
  public var hits = 0
  /// Questions that it did not.
  public var misses = 0
  /// Calls that failed; they count as misses too when they were questions.
  public var failures = 0

  /// Nothing yet.
  public init() {}
}

/// A cache that gateways share, for facts that their key names for good.
///
/// It is never the source of what is current, may forget anything at any time and fails silently:
/// without it everything is slower and nothing wrong. What it returns may have been changed by
/// whoever can reach it, so that callers seal what they keep. Usable from any task; calls do not
/// block their caller's thread and take no longer than some tenths of a second.
public protocol FactCache: Sendable {
  /// The value of a key; nil when it is not there or the cache fails.
  func value(of key: String) async -> [UInt8]?

  /// Keeps a value for `seconds`, at least 1.
  func keep(_ value: [UInt8], as key: String, seconds: Int) async

  /// Forgets keys.
  func forget(_ keys: [String]) async

  /// Forgets all keys that begin with `prefix`.
  func forgetAll(prefix: String) async

  /// What it has answered.
  var statistics: FactCacheStatistics { get }
}
