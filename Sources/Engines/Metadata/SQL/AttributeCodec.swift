import Base

/// Headers, user metadata and tags as the columns `attributes` and `tags` hold them, version 1:
/// a version byte, then lists; a list is a count and that many names and values, each sized UTF-8.
/// Nothing at all stands for empty lists.
enum AttributeCodec {
  /// Bytes of one column at most.
  static let maximumLength = 1 << 20
  private static let version: UInt8 = 1

  static func encode(_ attributes: ObjectAttributes) throws(MetadataError) -> SQLValue {
    guard !attributes.headers.isEmpty || !attributes.metadata.isEmpty else { return .null }
    return try encode([attributes.headers, attributes.metadata])
  }

  static func encodeTags(_ tags: [ObjectAttributes.Field]) throws(MetadataError) -> SQLValue {
    try tags.isEmpty ? .null : encode([tags])
  }

  static func decode(
    attributes: [UInt8]?, tags: [UInt8]?
  ) throws(MetadataError) -> ObjectAttributes {
    var result = ObjectAttributes()
    do throws(FormatError) {
      if let attributes {
        let lists = try decode(attributes, lists: 2)
        (result.headers, result.metadata) = (lists[0], lists[1])
      }
      if let tags { result.tags = try decode(tags, lists: 1)[0] }
    } catch {
      throw .unavailable("attributes of an object: \(error.message)")
    }
    return result
  }

  private static func encode(
    _ lists: [[ObjectAttributes.Field]]
  ) throws(MetadataError) -> SQLValue {
    var writer = ByteWriter(capacity: 256)
    writer.write(version)
    for list in lists {
      writer.writeVarint(list.count)
      for field in list {
        writer.writeString(field.name)
        writer.writeString(field.value)
        guard writer.count <= maximumLength else {
          throw .unavailable("attributes of more than \(maximumLength) bytes")
        }
      }
    }
    return .bytes(writer.bytes)
  }

  private static func decode(
    _ bytes: [UInt8], lists: Int
  ) throws(FormatError) -> [[ObjectAttributes.Field]] {
    guard bytes.count <= maximumLength else { throw FormatError("attributes too long") }
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt8.self) == version else {
      throw FormatError("attributes of an unknown version")
    }
    var result: [[ObjectAttributes.Field]] = []
    for _ in 0..<lists {
      let count = try reader.readVarint()
      // A field takes at least two bytes.
      guard count <= reader.remaining / 2 else { throw FormatError("more fields than bytes") }
      var list: [ObjectAttributes.Field] = []
      list.reserveCapacity(count)
      for _ in 0..<count {
        let name = try reader.readString(limit: maximumLength)
        list.append(.init(name: name, value: try reader.readString(limit: maximumLength)))
      }
      result.append(list)
    }
    try reader.expectEnd()
    return result
  }
}

/// A checksum's algorithm and whether it is composite, in the one column `checksum_kind`.
enum ChecksumKind {
  private static let composite: Int64 = 256

  static func pack(algorithm: UInt8, isComposite: Bool) -> SQLValue {
    .int(Int64(algorithm) + (isComposite ? composite : 0))
  }

  static func pack(_ checksum: StoredChecksum?) -> SQLValue {
    pack(algorithm: checksum?.algorithm ?? 0, isComposite: checksum?.isComposite ?? false)
  }

  static func unpack(
    _ kind: Int64
  ) throws(MetadataError) -> (algorithm: UInt8, isComposite: Bool) {
    guard kind >= 0, kind < 2 * composite else {
      throw .unavailable("a checksum of unknown kind \(kind)")
    }
    return (UInt8(truncatingIfNeeded: kind & 255), kind & composite != 0)
  }

  static func checksum(
    kind: Int64, value: [UInt8]?
  ) throws(MetadataError) -> StoredChecksum? {
    let (algorithm, isComposite) = try unpack(kind)
    guard algorithm != 0, let value else { return nil }
    return StoredChecksum(algorithm: algorithm, isComposite: isComposite, value: value)
  }
}

/// The stores of a placement in one value: 16 bytes each, by chunk index.
enum PlacementCodec {
  static func encode(_ stores: [StoreID]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(16 * stores.count)
    for store in stores { result += store.bytes }
    return result
  }

  static func decode(_ bytes: [UInt8]) throws(MetadataError) -> [StoreID] {
    guard bytes.count % 16 == 0 else { throw .unavailable("a placement of broken length") }
    var result: [StoreID] = []
    result.reserveCapacity(bytes.count / 16)
    for start in stride(from: 0, to: bytes.count, by: 16) {
      result.append(ID128(bigEndian: bytes, at: start))
    }
    return result
  }
}

extension ID128 {
  /// Takes 16 bytes of an array: the common case of `init(bytes:)` without its generality.
  ///
  /// Precondition: they are there.
  init(bigEndian bytes: [UInt8], at start: Int) {
    precondition(start >= 0 && start <= bytes.count - 16, "an identifier has 16 bytes")
    var high: UInt64 = 0
    var low: UInt64 = 0
    for index in start..<start + 8 {
      high = high << 8 | UInt64(bytes[index])
      low = low << 8 | UInt64(bytes[index + 8])
    }
    self.init(high: high, low: low)
  }
}
