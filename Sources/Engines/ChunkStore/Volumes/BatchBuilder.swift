internal import Base
internal import Runtime

/// Lays the records of one batch out in memory and notes what they change.
struct BatchBuilder: ~Copyable {
  enum Change: Sendable {
    case set(ChunkID, ChunkIndex.Entry)
    case remove(ChunkID, RecordLocation)
  }

  private let buffer: AlignedBuffer
  private let store: StoreID
  private let volume: UInt32
  private let base: Int
  private let batch: UInt64
  /// Bytes laid out.
  private(set) var count = 0
  private(set) var changes: [Change] = []

  /// Starts a batch that will lie at `base` of a volume.
  init(buffer: AlignedBuffer, store: StoreID, volume: UInt32, base: Int, batch: UInt64) {
    self.buffer = buffer
    self.store = store
    self.volume = volume
    self.base = base
    self.batch = batch
  }

  private var location: RecordLocation { RecordLocation(volume: volume, offset: base + count) }

  private mutating func append(_ header: RecordHeader) {
    var header = header
    header.isFirst = count == 0
    buffer.copy(header.encoded(store: store, at: location), at: count)
    count += RecordHeader.length
  }

  private mutating func pad(to end: Int) {
    buffer.zero(count..<end)
    count = end
  }

  /// The record that begins a volume.
  mutating func start() {
    append(RecordHeader(.start, batch: batch))
  }

  /// A record that says nothing.
  mutating func fill() {
    append(RecordHeader(.pad, batch: batch))
  }

  mutating func put(_ record: PutRecord) {
    let header = RecordHeader.chunk(
      record.header.id, scheme: record.header.scheme, trailerLength: record.trailer.count,
      dataLength: record.range.count, batch: batch)
    let entry = ChunkIndex.Entry(location: location, recordLength: header.recordLength)
    let end = count + header.recordLength
    append(header)
    buffer.copy(record.trailer, at: count)
    count += record.trailer.count
    buffer.copy(from: record.data, record.range, at: count)
    count += record.range.count
    pad(to: end)
    changes.append(.set(record.header.id, entry))
  }

  /// Undoes the record at `target`; `changesIndex` tells whether it is the live one.
  mutating func delete(_ id: ChunkID, target: RecordLocation, changesIndex: Bool = true) {
    append(RecordHeader.delete(id, target: target, batch: batch))
    if changesIndex { changes.append(.remove(id, target)) }
  }

  /// Copies a record; where it was it is undone.
  mutating func rewrite(_ record: RewrittenRecord) {
    var header = record.header
    header.batch = batch
    let entry = ChunkIndex.Entry(location: location, recordLength: header.recordLength)
    append(header)
    buffer.copy(record.body, at: count)
    count += record.body.count
    guard header.kind == .chunk else { return }
    changes.append(.set(header.id, entry))
    delete(header.id, target: record.source, changesIndex: false)
  }

  /// Fills the last page; returns the length of the batch.
  mutating func finish() -> Int {
    let end = ByteCount.roundUp(count, to: AlignedBuffer.alignment)
    if end > count {
      append(RecordHeader(.pad, batch: batch, recordLength: end - count))
      pad(to: end)
    }
    return end
  }
}
