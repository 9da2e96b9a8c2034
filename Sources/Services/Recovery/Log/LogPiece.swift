import Base
import Compression
import Metadata

/// One piece of the change log as it lies in a chunk, sealed: a fragment of a group of records.
///
/// Plaintext: format (u8, 1), flags (u8: bit 0, the group is a Zstandard frame), log id (16), group
/// (u64, random), fragment and number of fragments (varint each), length of the group before
/// compression (varint), and the fragment's bytes. A group is its records, one behind the other.
struct LogPiece: Hashable, Sendable {
  /// Bytes of a group before compression at most.
  static let maximumGroupLength = 512 << 20
  private static let format: UInt8 = 1

  var log: [UInt8]
  var isCompressed: Bool
  var group: UInt64
  var fragment: Int
  var fragmentCount: Int
  var groupLength: Int
  var bytes: [UInt8]

  var encoded: [UInt8] {
    var writer = ByteWriter(capacity: bytes.count + 48)
    writer.write(Self.format)
    writer.write(isCompressed ? UInt8(1) : 0)
    writer.write(log)
    writer.write(group)
    writer.writeVarint(fragment)
    writer.writeVarint(fragmentCount)
    writer.writeVarint(groupLength)
    writer.write(bytes)
    return writer.bytes
  }

  init(decoding bytes: [UInt8]) throws(FormatError) {
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt8.self) == Self.format else {
      throw FormatError("a piece of the change log of another format")
    }
    let flags = try reader.readInteger(UInt8.self)
    guard flags <= 1 else { throw FormatError("a piece of the change log with unknown flags") }
    isCompressed = flags == 1
    log = Array(try reader.read(16))
    group = try reader.readInteger()
    fragment = try reader.readVarint()
    fragmentCount = try reader.readVarint()
    groupLength = try reader.readVarint()
    guard fragmentCount > 0, fragmentCount <= 1 << 20, fragment < fragmentCount,
      groupLength <= Self.maximumGroupLength
    else { throw FormatError("a piece of the change log that makes no sense") }
    self.bytes = Array(try reader.read(reader.remaining))
  }

  private init(
    log: [UInt8], isCompressed: Bool, group: UInt64, fragment: Int, fragmentCount: Int,
    groupLength: Int, bytes: [UInt8]
  ) {
    self.log = log
    self.isCompressed = isCompressed
    self.group = group
    self.fragment = fragment
    self.fragmentCount = fragmentCount
    self.groupLength = groupLength
    self.bytes = bytes
  }

  /// The pieces of a group of records; none has more than `limit` bytes when encoded.
  static func pieces(
    of records: [ChangeRecord], log: [UInt8], group: UInt64, limit: Int
  ) -> [LogPiece] {
    var writer = ByteWriter(capacity: 512 * records.count)
    for record in records { record.encode(to: &writer) }
    let plain = writer.bytes
    let packed = plain.count >= 256 ? Zstandard.compress(plain) : plain
    let isCompressed = packed.count < plain.count
    let body = isCompressed ? packed : plain
    let room = limit - 64
    let count = max(1, (body.count + room - 1) / room)
    return (0..<count).map { index in
      LogPiece(
        log: log, isCompressed: isCompressed, group: group, fragment: index, fragmentCount: count,
        groupLength: plain.count,
        bytes: Array(body[index * room..<min((index + 1) * room, body.count)]))
    }
  }

  /// The records of a group out of all of its fragments' bytes in order.
  static func records(
    of body: [UInt8], isCompressed: Bool, length: Int
  ) throws(FormatError) -> [ChangeRecord] {
    var plain = body
    if isCompressed {
      do throws(CompressionError) {
        plain = try Zstandard.decompress(body, limit: maximumGroupLength)
      } catch {
        throw FormatError("a group of the change log does not decompress")
      }
    }
    guard plain.count == length else { throw FormatError("a group of another length") }
    var reader = ByteReader(plain)
    var records: [ChangeRecord] = []
    while !reader.isAtEnd { records.append(try ChangeRecord(from: &reader)) }
    return records
  }
}
