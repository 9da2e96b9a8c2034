import Base
public import Runtime
import Synchronization

/// The metadata store over any SQL database: all rules are here, a driver only runs statements.
public final class SQLMetadataStore: MetadataStore {
  /// The database.
  public let driver: any SQLDriver
  let random: any RandomSource
  let placements = PlacementCache()
  let changeLog = ChangeLogState()
  private let writer = Mutex<UInt64?>(nil)
  private let markers = Atomic<UInt64>(SQLMetadataStore.firstMarker)

  /// Delete markers are numbered by the store, from the upper half of a writer's counters; the
  /// lower half is for versions that callers number.
  static let firstMarker: UInt64 = 1 << 35

  /// Uses a database that has this release's schema.
  public init(driver: any SQLDriver, random: any RandomSource = SystemRandom()) {
    self.driver = driver
    self.random = random
  }

  /// Whose epoch commits carry; nil before `beginWriter`.
  var epoch: UInt64? {
    get { writer.withLock { $0 } }
    set { writer.withLock { $0 = newValue } }
  }

  /// Runs a mutation of objects, uploads or extents: fenced writers and work whose lease was taken
  /// over are refused.
  ///
  /// `made` are the epochs that what it commits was made under: a process that was fenced meanwhile
  /// may have another by now, which is none of theirs.
  func mutate<T: Sendable>(
    cost: Int = 512, made: Set<UInt64> = [],
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    let epoch = self.epoch
    if let epoch, !made.isSubset(of: [epoch]) { throw MetadataError.fenced }
    return try await leasedWrite(cost: cost) { session in
      if let epoch { try await Self.checkWriter(epoch, session) }
      return try await body(session)
    }
  }

  private static let writerState = SQLStatement(
    "SELECT state FROM writers WHERE epoch = $1 @share")

  private static func checkWriter(_ epoch: UInt64, _ session: any SQLSession) async throws {
    if session.memo.content.liveEpoch == epoch { return }
    let memo = session.memo
    try await session.check(writerState, [.int(Int64(epoch))]) { rows in
      guard let row = rows.first, try row.int(0) == 0 else { throw MetadataError.fenced }
      memo.content.liveEpoch = epoch
    }
  }

  /// A number and nonce for a delete marker.
  func nextMarker() -> OpaqueID {
    let count = markers.wrappingAdd(1, ordering: .relaxed).oldValue
    return OpaqueID(
      number: VersionNumber(
        epoch: epoch ?? 0, counter: min(count, VersionNumber.maximumCounter)),
      nonce: random.next())
  }
}

/// The numbers of placements that are known to be committed.
final class PlacementCache: Sendable {
  /// Placements kept at most: a cluster has few, and each is 16 bytes a chunk.
  private static let limit = 16_384
  private let known = Mutex<[[UInt8]: Int64]>([:])

  func number(of stores: [UInt8]) -> Int64? { known.withLock { $0[stores] } }

  func add(_ numbers: [[UInt8]: Int64]) {
    guard !numbers.isEmpty else { return }
    known.withLock { known in
      if known.count + numbers.count > Self.limit { known = [:] }
      known.merge(numbers) { _, new in new }
    }
  }
}

/// Keys as ranges of bytes.
enum KeyRange {
  /// Bytes of a key at most.
  static let maximumKeyLength = 1024
  /// Behind every key.
  static let end = [UInt8](repeating: 0xff, count: maximumKeyLength + 1)

  /// The first byte string behind all that begin with `prefix`; `end` when there is none.
  static func behind(prefix: [UInt8]) -> [UInt8] {
    guard let last = prefix.lastIndex(where: { $0 != 0xff }) else { return end }
    var result = Array(prefix[...last])
    result[last] += 1
    return result
  }

  /// The first byte string behind `key`.
  static func behind(key: [UInt8]) -> [UInt8] { key + [0] }

  /// The later of two byte strings.
  static func later(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
    left.lexicographicallyPrecedes(right) ? right : left
  }

  /// `key` up to and with the first `delimiter` behind the first `from` bytes; nil when there is
  /// none.
  static func commonPrefix(of key: [UInt8], from: Int, delimiter: [UInt8]) -> [UInt8]? {
    guard let first = delimiter.first, key.count >= from + delimiter.count else { return nil }
    var index = from
    while index + delimiter.count <= key.count {
      if key[index] == first, key[index..<index + delimiter.count].elementsEqual(delimiter) {
        return Array(key[..<(index + delimiter.count)])
      }
      index += 1
    }
    return nil
  }
}
