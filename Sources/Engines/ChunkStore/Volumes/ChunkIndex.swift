internal import Base

/// Where the small chunks of a store are: a hash table in flat arrays, 28 bytes a slot.
///
/// It is split into shards that grow one at a time and by a quarter, so that it never needs much
/// more room than its entries, nor a long pause.
struct ChunkIndex: Sendable {
  /// The chunk record of a chunk.
  struct Entry: Hashable, Sendable {
    var location: RecordLocation
    /// Bytes of the record.
    var recordLength: Int
  }

  static let shardCount = 256
  /// 32-bit words of a slot: extent id (4), volume, offset / 64, record length / 64 | index << 16.
  static let slotWords = 7

  private var shards: [Shard]

  init() {
    shards = Array(repeating: Shard(), count: Self.shardCount)
  }

  var count: Int { shards.reduce(0) { $0 + $1.count } }

  /// Bytes that the slots take, free ones included.
  var memory: Int { shards.reduce(0) { $0 + $1.words.count * 4 } }

  subscript(id: ChunkID) -> Entry? {
    let (shard, hash) = Self.place(of: id)
    return shards[shard].find(id, hash)
  }

  /// Names the record of a chunk; returns the one that it replaces.
  @discardableResult
  mutating func set(_ id: ChunkID, _ entry: Entry) -> Entry? {
    let (shard, hash) = Self.place(of: id)
    return shards[shard].set(id, hash, entry)
  }

  /// Forgets a chunk; returns its record.
  @discardableResult
  mutating func remove(_ id: ChunkID) -> Entry? {
    let (shard, hash) = Self.place(of: id)
    return shards[shard].remove(id, hash)
  }

  /// The chunks of one shard, 0 to 255, in no order.
  func entries(inShard shard: Int) -> [(id: ChunkID, entry: Entry)] {
    shards[shard].entries
  }

  /// The shard that a chunk belongs to.
  static func shard(of id: ChunkID) -> Int {
    place(of: id).shard
  }

  private static func place(of id: ChunkID) -> (shard: Int, hash: UInt64) {
    // Ids of one extent differ in the index only; spread them, too.
    var value = id.extent.low ^ (id.extent.high &* 0x9e37_79b9_7f4a_7c15)
    value ^= UInt64(id.index) &* 0xd6e8_feb8_6659_fd93
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    value ^= value >> 31
    return (Int(value & 0xff), value)
  }
}

/// One open-addressing table with linear probing and no tombstones.
private struct Shard: Sendable {
  typealias Entry = ChunkIndex.Entry

  private(set) var words: [UInt32] = []
  private(set) var count = 0

  private var capacity: Int { words.count / ChunkIndex.slotWords }

  func find(_ id: ChunkID, _ hash: UInt64) -> Entry? {
    guard count > 0 else { return nil }
    let slot = probe(id, hash)
    return isFree(slot) ? nil : entry(slot)
  }

  mutating func set(_ id: ChunkID, _ hash: UInt64, _ entry: Entry) -> Entry? {
    // At most four of five slots are taken, so that every probe ends soon.
    if (count + 1) * 5 > capacity * 4 { grow() }
    let slot = probe(id, hash)
    let old = isFree(slot) ? nil : self.entry(slot)
    store(id, entry, in: slot)
    if old == nil { count += 1 }
    return old
  }

  mutating func remove(_ id: ChunkID, _ hash: UInt64) -> Entry? {
    guard count > 0 else { return nil }
    var hole = probe(id, hash)
    guard !isFree(hole) else { return nil }
    let old = entry(hole)
    count -= 1
    // Entries behind the hole move up when their own probe passes it.
    var next = hole
    while true {
      next = next + 1 == capacity ? 0 : next + 1
      if isFree(next) { break }
      let home = start(self.hash(next))
      let passes = hole <= next ? home <= hole || home > next : home <= hole && home > next
      if passes {
        copy(from: next, to: hole)
        hole = next
      }
    }
    words[hole * ChunkIndex.slotWords + 4] = 0
    return old
  }

  var entries: [(id: ChunkID, entry: Entry)] {
    (0..<capacity).filter { !isFree($0) }.map { (id($0), entry($0)) }
  }

  private func start(_ hash: UInt64) -> Int {
    // The shard took the low bits; the high ones pick the slot.
    Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(capacity)).high)
  }

  private func probe(_ id: ChunkID, _ hash: UInt64) -> Int {
    var slot = start(hash)
    while !isFree(slot), self.id(slot) != id {
      slot = slot + 1 == capacity ? 0 : slot + 1
    }
    return slot
  }

  private func isFree(_ slot: Int) -> Bool { words[slot * ChunkIndex.slotWords + 4] == 0 }

  private func id(_ slot: Int) -> ChunkID {
    let base = slot * ChunkIndex.slotWords
    return ChunkID(
      extent: ExtentID(
        high: UInt64(words[base]) << 32 | UInt64(words[base + 1]),
        low: UInt64(words[base + 2]) << 32 | UInt64(words[base + 3])),
      index: UInt8(truncatingIfNeeded: words[base + 6] >> 16))
  }

  private func hash(_ slot: Int) -> UInt64 { ChunkIndex.hash(of: id(slot)) }

  private func entry(_ slot: Int) -> Entry {
    let base = slot * ChunkIndex.slotWords
    return Entry(
      location: RecordLocation(
        volume: words[base + 4], offset: Int(words[base + 5]) * RecordLocation.unit),
      recordLength: Int(words[base + 6] & 0xffff) * RecordLocation.unit)
  }

  private mutating func store(_ id: ChunkID, _ entry: Entry, in slot: Int) {
    let base = slot * ChunkIndex.slotWords
    words[base] = UInt32(truncatingIfNeeded: id.extent.high >> 32)
    words[base + 1] = UInt32(truncatingIfNeeded: id.extent.high)
    words[base + 2] = UInt32(truncatingIfNeeded: id.extent.low >> 32)
    words[base + 3] = UInt32(truncatingIfNeeded: id.extent.low)
    words[base + 4] = entry.location.volume
    words[base + 5] = UInt32(truncatingIfNeeded: entry.location.offset / RecordLocation.unit)
    words[base + 6] =
      UInt32(truncatingIfNeeded: entry.recordLength / RecordLocation.unit)
      | UInt32(id.index) << 16
  }

  private mutating func copy(from source: Int, to target: Int) {
    for word in 0..<ChunkIndex.slotWords {
      words[target * ChunkIndex.slotWords + word] = words[source * ChunkIndex.slotWords + word]
    }
  }

  private mutating func grow() {
    let old = entries
    let slots = max(16, capacity + capacity / 4)
    words = Array(repeating: 0, count: slots * ChunkIndex.slotWords)
    for (id, entry) in old { store(id, entry, in: probe(id, ChunkIndex.hash(of: id))) }
  }
}

extension ChunkIndex {
  fileprivate static func hash(of id: ChunkID) -> UInt64 { place(of: id).hash }
}

extension ChunkIndex {
  /// The taken slots of one shard as a checkpoint holds them: their words, little-endian.
  func slots(inShard shard: Int) -> [UInt8] {
    shards[shard].encodedSlots
  }

  /// Reads a slot of a checkpoint; throws for one that no index can hold.
  static func decode(
    _ bytes: ArraySlice<UInt8>
  ) throws(FormatError) -> (id: ChunkID, entry: Entry) {
    var words: [7 of UInt32] = .init(repeating: 0)
    guard bytes.count == slotWords * 4 else { throw FormatError("a slot is cut off") }
    var position = bytes.startIndex
    for word in 0..<slotWords {
      for shift in 0..<4 {
        words[word] |= UInt32(bytes[position]) << UInt32(8 * shift)
        position += 1
      }
    }
    let id = ChunkID(
      extent: ExtentID(
        high: UInt64(words[0]) << 32 | UInt64(words[1]),
        low: UInt64(words[2]) << 32 | UInt64(words[3])),
      index: UInt8(truncatingIfNeeded: words[6] >> 16))
    let entry = Entry(
      location: RecordLocation(
        volume: words[4], offset: Int(words[5]) * RecordLocation.unit),
      recordLength: Int(words[6] & 0xffff) * RecordLocation.unit)
    guard words[4] > 0, words[6] >> 24 == 0, entry.recordLength >= RecordHeader.length,
      entry.recordLength <= RecordHeader.maximumRecordLength
    else { throw FormatError("a slot of the index is impossible") }
    return (id, entry)
  }
}

extension Shard {
  fileprivate var encodedSlots: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count * ChunkIndex.slotWords * 4)
    for base in stride(from: 0, to: words.count, by: ChunkIndex.slotWords)
    where words[base + 4] != 0 {
      for word in words[base..<base + ChunkIndex.slotWords] {
        for shift in 0..<4 { result.append(UInt8(truncatingIfNeeded: word >> UInt32(8 * shift))) }
      }
    }
    return result
  }
}
