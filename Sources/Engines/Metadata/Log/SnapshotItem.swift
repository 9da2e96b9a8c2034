public import Base

/// What a snapshot of the metadata is about.
public struct SnapshotHeader: Hashable, Sendable {
  /// The form of the items.
  public static let format: UInt32 = 1

  /// The installation.
  public var cluster: ClusterID
  /// The change log that goes on from here; empty for none.
  public var log: [UInt8]
  /// Every transaction with a number up to this one is in the snapshot, or was given up.
  public var floor: Int64
  /// When it was begun.
  public var created: Timestamp
  /// The schema of the tables (`Migrations.current`).
  public var schema: Int

  /// Makes a header of its fields.
  public init(cluster: ClusterID, log: [UInt8], floor: Int64, created: Timestamp, schema: Int) {
    self.cluster = cluster
    self.log = log
    self.floor = floor
    self.created = created
    self.schema = schema
  }
}

/// One item of a snapshot, which is a row of them: a header, rows and marks, an end.
public enum SnapshotItem: Hashable, Sendable {
  /// What follows.
  case header(SnapshotHeader)
  /// Rows of a table.
  case rows(table: UInt8, [[SQLValue]])
  /// A transaction that was not known to be in the log when the snapshot was made, and the keys of
  /// the rows that it changed: the snapshot has them as it left them, or as a later one did.
  case mark(number: Int64, [RowChange])
  /// All of it: so many rows.
  case end(rows: Int)

  /// Appends the item: its kind (1 header, 2 rows, 3 mark, 4 end) and its fields.
  public func encode(to writer: inout ByteWriter) {
    switch self {
    case .header(let header):
      writer.write(UInt8(1))
      writer.write(SnapshotHeader.format)
      writer.write(header.cluster.bytes)
      writer.writeSized(header.log)
      writer.write(header.floor)
      writer.write(header.created.milliseconds)
      writer.writeVarint(header.schema)
    case .rows(let table, let rows):
      writer.write(UInt8(2))
      writer.write(table)
      writer.writeVarint(rows.count)
      for row in rows { RowCodec.write(row, to: &writer) }
    case .mark(let number, let rows):
      writer.write(UInt8(3))
      writer.write(number)
      writer.writeVarint(rows.count)
      for row in rows {
        writer.write(row.table)
        RowCodec.write(row.values, to: &writer)
      }
    case .end(let rows):
      writer.write(UInt8(4))
      writer.writeVarint(rows)
    }
  }

  /// Reads what `encode` wrote.
  public init(from reader: inout ByteReader) throws(FormatError) {
    switch try reader.readInteger(UInt8.self) {
    case 1: self = .header(try Self.header(&reader))
    case 2:
      let table = try reader.readInteger(UInt8.self)
      let count = try Self.count(&reader)
      var rows: [[SQLValue]] = []
      for _ in 0..<count { rows.append(try RowCodec.read(from: &reader)) }
      self = .rows(table: table, rows)
    case 3:
      let number = try reader.readInteger(Int64.self)
      let count = try Self.count(&reader)
      var rows: [RowChange] = []
      for _ in 0..<count {
        let table = try reader.readInteger(UInt8.self)
        rows.append(
          RowChange(table: table, isDelete: true, values: try RowCodec.read(from: &reader)))
      }
      self = .mark(number: number, rows)
    case 4: self = .end(rows: try reader.readVarint())
    default: throw FormatError("an unknown item of a snapshot")
    }
  }

  private static func header(
    _ reader: inout ByteReader
  ) throws(FormatError) -> SnapshotHeader {
    let format = try reader.readInteger(UInt32.self)
    guard format == SnapshotHeader.format else {
      throw FormatError("a snapshot of format \(format), not \(SnapshotHeader.format)")
    }
    guard let cluster = ClusterID(bytes: try reader.read(16)) else {
      throw FormatError("a snapshot without a cluster")
    }
    return SnapshotHeader(
      cluster: cluster, log: try reader.readSized(limit: 16), floor: try reader.readInteger(),
      created: Timestamp(milliseconds: try reader.readInteger()), schema: try reader.readVarint())
  }

  private static func count(_ reader: inout ByteReader) throws(FormatError) -> Int {
    let count = try reader.readVarint()
    // A row takes at least two bytes.
    guard count <= reader.remaining / 2 else { throw FormatError("more rows than bytes") }
    return count
  }
}
