public import Base

/// Lists of links as bytes, for caches. Not stored for longer than a cache keeps them, so that any
/// release may change it with its number.
extension ExtentLink {
  private static let format: UInt8 = 1
  /// Chunks of an extent at most.
  private static let maximumChunks = 32

  /// Encodes the links of one version.
  public static func encode(_ links: [ExtentLink]) -> [UInt8] {
    var writer = ByteWriter(capacity: 16 + 512 * links.count)
    writer.write(format)
    writer.writeVarint(links.count)
    for link in links {
      writer.writeVarint(link.ordinal)
      writer.write(link.offset)
      writer.write(link.length)
      writer.writeVarint(link.partNumber)
      writer.write(UInt8(link.checksum == nil ? 0 : 1))
      if let checksum = link.checksum {
        writer.write(checksum.algorithm)
        writer.write(UInt8(checksum.isComposite ? 1 : 0))
        writer.writeSized(checksum.value)
      }
      let extent = link.extent
      writer.write(extent.id.bytes)
      writer.write(UInt8(truncatingIfNeeded: extent.dataCount))
      writer.write(UInt8(truncatingIfNeeded: extent.parityCount))
      writer.write(extent.plaintextLength)
      writer.write(extent.transform)
      writer.writeSized(extent.wrappedKey)
      writer.write(extent.generation)
      writer.write(extent.missing)
      writer.write(UInt8(truncatingIfNeeded: extent.stores.count))
      for store in extent.stores { writer.write(store.bytes) }
      for digest in extent.digests { writer.write(digest.bytes) }
    }
    return writer.bytes
  }

  /// Decodes what `encode` gave; throws for anything else.
  public static func decode(_ bytes: [UInt8]) throws(FormatError) -> [ExtentLink] {
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt8.self) == format else {
      throw FormatError("links of another format")
    }
    let count = try reader.readVarint()
    // Each takes more than 64 bytes: a count that cannot be true allocates nothing.
    guard count <= bytes.count / 64 else { throw FormatError("more links than bytes") }
    var links: [ExtentLink] = []
    links.reserveCapacity(count)
    for _ in 0..<count { links.append(try ExtentLink(from: &reader)) }
    try reader.expectEnd()
    return links
  }

  private init(from reader: inout ByteReader) throws(FormatError) {
    let ordinal = try reader.readVarint()
    let offset: Int64 = try reader.readInteger()
    let length: Int64 = try reader.readInteger()
    let partNumber = try reader.readVarint()
    guard offset >= 0, length >= 0, offset.addingReportingOverflow(length).overflow == false else {
      throw FormatError("a link outside of any object")
    }
    var checksum: StoredChecksum?
    if try reader.readInteger(UInt8.self) == 1 {
      let algorithm: UInt8 = try reader.readInteger()
      let isComposite = try reader.readInteger(UInt8.self) == 1
      checksum = StoredChecksum(
        algorithm: algorithm, isComposite: isComposite, value: try reader.readSized(limit: 64))
    }
    self.init(
      ordinal: ordinal, offset: offset, length: length, partNumber: partNumber,
      checksum: checksum, extent: try Self.extent(from: &reader))
  }

  private static func extent(from reader: inout ByteReader) throws(FormatError) -> Extent {
    guard let id = ExtentID(bytes: try reader.read(16)) else { throw FormatError("no extent id") }
    let dataCount = Int(try reader.readInteger(UInt8.self))
    let parityCount = Int(try reader.readInteger(UInt8.self))
    let plaintextLength: Int64 = try reader.readInteger()
    let transform: UInt8 = try reader.readInteger()
    let wrappedKey = try reader.readSized(limit: 4096)
    let generation: Int64 = try reader.readInteger()
    let missing: UInt32 = try reader.readInteger()
    let chunks = Int(try reader.readInteger(UInt8.self))
    guard dataCount > 0, chunks == dataCount + parityCount, chunks <= maximumChunks,
      plaintextLength >= 0
    else { throw FormatError("an extent of no scheme") }
    var stores: [StoreID] = []
    var digests: [SHA256Digest] = []
    for _ in 0..<chunks {
      guard let store = StoreID(bytes: try reader.read(16)) else { throw FormatError("no store") }
      stores.append(store)
    }
    for _ in 0..<chunks {
      guard let digest = SHA256Digest(try reader.read(SHA256Digest.byteCount)) else {
        throw FormatError("no digest")
      }
      digests.append(digest)
    }
    return Extent(
      id: id, dataCount: dataCount, parityCount: parityCount, plaintextLength: plaintextLength,
      transform: transform, wrappedKey: wrappedKey, stores: stores, generation: generation,
      digests: digests, missing: missing)
  }
}
