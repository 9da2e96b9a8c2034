import Base
import Runtime
import Testing

@testable import ChunkStore

@Suite struct ChunkIndexTests {
  @Test("it is a dictionary")
  func model() {
    let random = SeededRandom(seed: 42)
    var index = ChunkIndex()
    var model: [ChunkID: ChunkIndex.Entry] = [:]
    for _ in 0..<60_000 {
      // Few ids, so that they come again; of one shard often, so that probes run into each other.
      let id = ChunkID(
        extent: ExtentID(high: random.next() % 3, low: random.next() % 1500),
        index: UInt8(random.next() % 3))
      if random.next() % 3 == 0 {
        let removed = index.remove(id)
        let expected = model.removeValue(forKey: id)
        #expect(removed == expected)
      } else {
        let entry = ChunkIndex.Entry(
          location: RecordLocation(
            volume: UInt32(1 + random.next() % 1000), offset: Int(random.next() % 10_000) * 64),
          recordLength: 64 + Int(random.next() % 2000) * 64)
        let replaced = index.set(id, entry)
        let expected = model.updateValue(entry, forKey: id)
        #expect(replaced == expected)
      }
    }
    #expect(index.count == model.count)
    for (id, entry) in model { #expect(index[id] == entry) }
    var found: [ChunkID: ChunkIndex.Entry] = [:]
    for shard in 0..<ChunkIndex.shardCount {
      for (id, entry) in index.entries(inShard: shard) {
        #expect(ChunkIndex.shard(of: id) == shard)
        found[id] = entry
      }
    }
    #expect(found == model)
  }

  @Test("an entry takes at most about 40 bytes")
  func memory() {
    let random = SeededRandom(seed: 7)
    var index = ChunkIndex()
    let entry = ChunkIndex.Entry(
      location: RecordLocation(volume: 1, offset: 64), recordLength: 64)
    for number in 1...200_000 {
      index.set(ChunkID(extent: ExtentID(high: random.next(), low: random.next()), index: 1), entry)
      if number >= 50_000, number.isMultiple(of: 10_000) {
        #expect(Double(index.memory) / Double(number) <= 44)
      }
    }
  }

  @Test("a slot comes back from its bytes, and impossible ones do not")
  func slots() throws {
    var index = ChunkIndex()
    let id = ChunkID(extent: ExtentID(high: .max, low: 5), index: 31)
    let entry = ChunkIndex.Entry(
      location: RecordLocation(volume: 77, offset: 64 * 1000), recordLength: 200_832)
    index.set(id, entry)
    let bytes = index.slots(inShard: ChunkIndex.shard(of: id))
    let decoded = try ChunkIndex.decode(bytes[...])
    #expect(decoded.id == id && decoded.entry == entry)
    #expect(throws: FormatError.self) { try ChunkIndex.decode(bytes.dropLast()) }
    #expect(throws: FormatError.self) {
      try ChunkIndex.decode([UInt8](repeating: 0, count: 28)[...])
    }
    #expect(throws: FormatError.self) {
      try ChunkIndex.decode([UInt8](repeating: 0xff, count: 28)[...])
    }
  }
}
