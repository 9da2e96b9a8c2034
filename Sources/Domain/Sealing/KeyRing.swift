public import Base

/// The key-encryption keys (KEKs) of a cluster by their numbers, 1 and up.
///
/// New extents use the current one, the one with the highest number; older ones stay for the extents
/// that name them. A value: a change makes another ring, and running work keeps its own.
public struct KeyRing: Sendable {
  /// The cluster the keys belong to.
  public let cluster: ClusterID
  /// The number of the key that new extents use.
  public private(set) var currentNumber: UInt32

  private var keys: [UInt32: SecretKey]

  /// The numbers of all keys in ascending order.
  public var numbers: [UInt32] { keys.keys.sorted() }

  /// Starts the ring of a new cluster with key number 1, made of 32 bytes that `random` yields.
  ///
  /// Precondition: `random` yields as many bytes as it is asked for, and unpredictable ones.
  public init(cluster: ClusterID, random: (Int) -> [UInt8]) {
    self.cluster = cluster
    currentNumber = 1
    keys = [1: SecretKey(random(SecretKey.byteCount))]
  }

  /// Opens a stored ring.
  ///
  /// Throws `authenticationFailed` when the master key is not the one it was wrapped with or a
  /// record was changed, `malformed` when there are no keys or two with one number.
  public init(
    cluster: ClusterID, master: MasterKey, wrapped: [WrappedKeyEncryptionKey]
  ) throws(SealingError) {
    var keys: [UInt32: SecretKey] = [:]
    let wrapping = KeyWrapping(cluster: cluster, master: master)
    for record in wrapped {
      guard keys[record.number] == nil else {
        throw .malformed(FormatError("key-encryption key \(record.number) is there twice"))
      }
      keys[record.number] = try wrapping.unwrap(record)
    }
    guard let highest = keys.keys.max() else {
      throw .malformed(FormatError("the ring has no key-encryption keys"))
    }
    self.cluster = cluster
    currentNumber = highest
    self.keys = keys
  }

  /// Adds a key made of 32 bytes that `random` yields, which becomes the current one: its number.
  ///
  /// Store the ring before an extent uses the key. Precondition: fewer than 2³² − 1 keys were ever
  /// made; `random` yields as many bytes as it is asked for, and unpredictable ones.
  @discardableResult
  public mutating func addKey(random: (Int) -> [UInt8]) -> UInt32 {
    currentNumber += 1
    keys[currentNumber] = SecretKey(random(SecretKey.byteCount))
    return currentNumber
  }

  /// All keys wrapped under a master key, in ascending order, to be stored.
  ///
  /// Rotating the master key is this with the new one: data and extent keys stay as they are.
  /// Precondition: `random` yields as many bytes as it is asked for, never the same twice.
  public func wrapped(
    under master: MasterKey, random: (Int) -> [UInt8]
  ) -> [WrappedKeyEncryptionKey] {
    let wrapping = KeyWrapping(cluster: cluster, master: master)
    return keys.sorted { $0.key < $1.key }.map { number, key in
      wrapping.wrap(key, number: number, random: random)
    }
  }

  /// The key of this number; throws `unknownKeyEncryptionKey` when it is not in the ring.
  func key(_ number: UInt32) throws(SealingError) -> SecretKey {
    guard let key = keys[number] else { throw .unknownKeyEncryptionKey(number) }
    return key
  }

  /// The key that new extents use, with its number.
  var current: (number: UInt32, key: SecretKey) {
    guard let key = keys[currentNumber] else { preconditionFailure("a ring has a current key") }
    return (currentNumber, key)
  }
}
