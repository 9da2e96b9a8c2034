internal import Synchronization

/// Keeps derived signing keys, so that a request costs one keyed hash instead of five.
///
/// Safe for use from many tasks at once. At most two generations of `capacity` keys each are held.
public final class SigningKeyCache: Sendable {
  private struct Entry: Hashable {
    let secretKey: String
    let scope: CredentialScope
  }

  private struct State {
    var young: [Entry: SigningKey] = [:]
    var old: [Entry: SigningKey] = [:]
  }

  private let capacity: Int
  private let state = Mutex(State())

  /// Makes an empty cache. Precondition: `capacity` is positive.
  public init(capacity: Int = 1024) {
    precondition(capacity > 0, "a cache holds something")
    self.capacity = capacity
  }

  /// The key for a secret in a scope, derived when it is not held.
  public func key(secretKey: String, scope: CredentialScope) -> SigningKey {
    let entry = Entry(secretKey: secretKey, scope: scope)
    if let key = lookUp(entry) { return key }
    let key = SigningKey(secretKey: secretKey, scope: scope)
    state.withLock { insert(entry, key, into: &$0) }
    return key
  }

  /// How many keys are held.
  public var count: Int { state.withLock { $0.young.count + $0.old.count } }

  private func lookUp(_ entry: Entry) -> SigningKey? {
    state.withLock { state in
      if let key = state.young[entry] { return key }
      guard let key = state.old.removeValue(forKey: entry) else { return nil }
      insert(entry, key, into: &state)
      return key
    }
  }

  private func insert(_ entry: Entry, _ key: SigningKey, into state: inout State) {
    if state.young.count >= capacity && state.young[entry] == nil {
      state.old = state.young
      state.young = [:]
    }
    state.young[entry] = key
  }
}
