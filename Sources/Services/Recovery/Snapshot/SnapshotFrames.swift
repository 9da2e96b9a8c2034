import Base
import Compression
import Metadata

/// How the items of a snapshot become bytes: frames, each of whole items, compressed on its own so
/// that one is in memory at a time.
///
/// A frame: length before compression (u32), length (u32), a Zstandard frame.
struct SnapshotFrames {
  /// Bytes of items after which a frame ends.
  static let length = 1 << 20
  /// The longest frame before compression: one item may be as long as a row of the largest values.
  static let maximumLength = 256 << 20
  /// Bytes before a frame.
  static let headLength = 8

  private var pending = ByteWriter(capacity: SnapshotFrames.length)

  /// Takes an item; a frame when it is full.
  mutating func add(_ item: SnapshotItem) -> [UInt8]? {
    item.encode(to: &pending)
    return pending.count >= Self.length ? take() : nil
  }

  /// What is left as a frame; nil when nothing is.
  mutating func take() -> [UInt8]? {
    guard pending.count > 0 else { return nil }
    let packed = Zstandard.compress(pending.bytes, level: 3)
    var frame = ByteWriter(capacity: packed.count + Self.headLength)
    frame.write(UInt32(pending.count))
    frame.write(UInt32(packed.count))
    frame.write(packed)
    pending = ByteWriter(capacity: Self.length)
    return frame.bytes
  }
}

/// Makes items again out of the bytes of frames, however they are cut.
struct SnapshotFrameReader {
  private var bytes: [UInt8] = []

  /// Whether nothing is left of a frame that began.
  var isAtBoundary: Bool { bytes.isEmpty }

  /// Takes the next bytes; the items of the frames that they complete.
  mutating func add(_ more: [UInt8]) throws(FormatError) -> [SnapshotItem] {
    bytes += more
    var items: [SnapshotItem] = []
    while bytes.count >= SnapshotFrames.headLength {
      var reader = ByteReader(bytes)
      let length = Int(try reader.readInteger(UInt32.self))
      let packedLength = Int(try reader.readInteger(UInt32.self))
      guard length <= SnapshotFrames.maximumLength, packedLength <= SnapshotFrames.maximumLength
      else { throw FormatError("a frame of a snapshot that is too long") }
      guard reader.remaining >= packedLength else { break }
      let packed = Array(try reader.read(packedLength))
      bytes.removeFirst(SnapshotFrames.headLength + packedLength)
      items += try Self.items(packed, length: length)
    }
    return items
  }

  private static func items(
    _ packed: [UInt8], length: Int
  ) throws(FormatError) -> [SnapshotItem] {
    let plain: [UInt8]
    do throws(CompressionError) {
      plain = try Zstandard.decompress(packed, limit: length)
    } catch {
      throw FormatError("a frame of a snapshot does not decompress")
    }
    var reader = ByteReader(plain)
    var items: [SnapshotItem] = []
    while !reader.isAtEnd { items.append(try SnapshotItem(from: &reader)) }
    return items
  }
}

/// What the sealed descriptor of a part says of its snapshot, as the descriptor's key: log id
/// (sized), floor (i64), part (varint, from 0), last flag (u8), when it was begun (i64, ms).
struct SnapshotPartLabel: Hashable, Sendable {
  var log: [UInt8]
  var floor: Int64
  var part: Int
  var isLast: Bool
  var started: Timestamp

  /// What all parts of a snapshot share, and no other has.
  struct Attempt: Hashable, Sendable {
    var log: [UInt8]
    var floor: Int64
    var started: Timestamp
  }

  var attempt: Attempt { Attempt(log: log, floor: floor, started: started) }

  var encoded: [UInt8] {
    var writer = ByteWriter(capacity: 48)
    writer.writeSized(log)
    writer.write(floor)
    writer.writeVarint(part)
    writer.write(isLast ? UInt8(1) : 0)
    writer.write(started.milliseconds)
    return writer.bytes
  }

  init(log: [UInt8], floor: Int64, part: Int, isLast: Bool, started: Timestamp) {
    self.log = log
    self.floor = floor
    self.part = part
    self.isLast = isLast
    self.started = started
  }

  init(decoding bytes: [UInt8]) throws(FormatError) {
    var reader = ByteReader(bytes)
    log = try reader.readSized(limit: 16)
    floor = try reader.readInteger()
    part = try reader.readVarint()
    isLast = try reader.readInteger(UInt8.self) != 0
    started = Timestamp(milliseconds: try reader.readInteger())
  }
}
