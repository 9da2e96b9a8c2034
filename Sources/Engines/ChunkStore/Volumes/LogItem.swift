internal import Base
internal import Erasure
internal import Runtime

/// Something that a batch of a volume makes durable.
enum LogItem: Sendable {
  /// A new chunk; its data lies in the caller's buffer.
  case put(PutRecord)
  /// Chunks that go; those that the index does not name are gone already.
  case delete([ChunkID])
  /// Records of a volume that is being compacted.
  case rewrite([RewrittenRecord])
  /// Nothing: comes back when all before it is durable.
  case barrier

  /// A chunk record that is dead and has no delete record yet.
  struct Owed: Sendable {
    var id: ChunkID
    var target: RecordLocation
  }

  /// What an item does once it is durable.
  struct Outcome: Sendable {
    /// Chunk records that are dead now.
    var freed: [ChunkIndex.Entry] = []
  }

  /// Bytes that the item takes in a batch, at most.
  var maximumLength: Int {
    switch self {
    // A chunk that replaces another one brings a delete record.
    case .put(let record): record.recordLength + RecordHeader.length
    case .delete(let ids): ids.count * RecordHeader.length
    // So does one that moves.
    case .rewrite(let records):
      records.reduce(0) { $0 + $1.header.recordLength + RecordHeader.length }
    case .barrier: 0
    }
  }

  /// The chunks that it changes.
  var ids: [ChunkID] {
    switch self {
    case .put(let record): [record.header.id]
    case .delete(let ids): ids
    case .rewrite(let records): records.map(\.header.id)
    case .barrier: []
    }
  }
}

/// A chunk on its way into a volume.
struct PutRecord: Sendable {
  var header: ChunkHeader
  var trailer: [UInt8]
  var data: AlignedBuffer
  var range: Range<Int>

  var recordLength: Int {
    ByteCount.roundUp(
      RecordHeader.length + trailer.count + range.count, to: RecordLocation.unit)
  }
}

/// A record on its way from one volume to another.
struct RewrittenRecord: Sendable {
  var header: RecordHeader
  /// Where it was.
  var source: RecordLocation
  /// What follows its header, padding included.
  var body: [UInt8]
}
