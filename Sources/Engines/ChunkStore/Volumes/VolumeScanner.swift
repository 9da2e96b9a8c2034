internal import Base
internal import Disk
internal import Runtime

/// Reads the records of a volume one after the other.
///
/// Bytes that are no record are skipped, 64 at a time: what lies behind a hole or a bad sector is
/// found again, since every header proves its own place.
struct VolumeScanner: ~Copyable {
  static let windowLength = 256 * ByteCount.kibibyte

  /// A record, and whether it follows the one before directly.
  struct Found: Sendable {
    var header: RecordHeader
    var offset: Int
    var followsGap: Bool

    var end: Int { offset + header.recordLength }
  }

  private let handle: any FileHandle
  private let store: StoreID
  private let volume: UInt32
  private let end: Int
  private let window = AlignedBuffer(count: Self.windowLength)
  /// The part of the volume that the window holds.
  private var held = 0..<0
  /// Where the next record is looked for.
  private(set) var position: Int

  /// Reads from `position`, a multiple of 64, up to `end`.
  init(handle: any FileHandle, store: StoreID, volume: UInt32, from position: Int, to end: Int) {
    self.handle = handle
    self.store = store
    self.volume = volume
    self.position = position
    self.end = end
  }

  /// The next record; nil at the end.
  mutating func next() throws(DiskError) -> Found? {
    var followsGap = false
    while position <= end - RecordHeader.length {
      guard let bytes = try header(at: position) else { return nil }
      guard !bytes.isEmpty else {
        followsGap = true
        position += RecordLocation.unit
        continue
      }
      let location = RecordLocation(volume: volume, offset: position)
      if let header = try? RecordHeader(decoding: bytes, store: store, at: location),
        header.recordLength <= end - position
      {
        let found = Found(header: header, offset: position, followsGap: followsGap)
        position = found.end
        return found
      }
      followsGap = true
      position += RecordLocation.unit
    }
    return nil
  }

  /// The bytes behind the header of a record; fewer when the file ends before them.
  mutating func body(of found: Found) throws(DiskError) -> [UInt8] {
    let range = found.offset + RecordHeader.length..<found.end
    try fill(range)
    let part = range.clamped(to: held)
    guard part.lowerBound == range.lowerBound else { return [] }
    return window.bytes(
      part.lowerBound - held.lowerBound..<part.upperBound - held.lowerBound)
  }

  /// The bytes of a header, none when its first ones show that there is none; nil at the end.
  private mutating func header(at offset: Int) throws(DiskError) -> [UInt8]? {
    try fill(offset..<offset + RecordHeader.length)
    guard held.contains(offset), held.upperBound - offset >= RecordHeader.length else {
      return nil
    }
    let start = offset - held.lowerBound
    let magic = unsafe window.withBytes(start..<start + 4) { bytes in
      unsafe bytes.loadUnaligned(as: UInt32.self)
    }
    guard UInt32(littleEndian: magic) == RecordHeader.magic else { return [] }
    return window.bytes(start..<start + RecordHeader.length)
  }

  /// Makes the window hold a range, as far as the file goes.
  private mutating func fill(_ range: Range<Int>) throws(DiskError) {
    if range.lowerBound >= held.lowerBound, range.upperBound <= held.upperBound { return }
    let start = range.lowerBound / AlignedBuffer.alignment * AlignedBuffer.alignment
    held = start..<start
    let count = try unsafe window.withMutableBytes(0..<window.count) { bytes throws(DiskError) in
      try unsafe handle.read(into: bytes, at: start)
    }
    held = start..<start + count
  }
}
