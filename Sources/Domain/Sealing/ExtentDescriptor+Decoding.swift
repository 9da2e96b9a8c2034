import Base

extension ExtentDescriptor {
  /// Decodes what `encoded` made, by this or a later release: fields it does not know are skipped.
  ///
  /// Throws for any bytes that are not such a descriptor.
  init(decoding bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= Self.maximumEncodedByteCount else {
      throw FormatError("a descriptor of \(bytes.count) bytes")
    }
    var reader = ByteReader(bytes)
    let version = try reader.readInteger(UInt8.self)
    guard version == Self.formatVersion else {
      throw FormatError("a descriptor of version \(version), not \(Self.formatVersion)")
    }
    var fields = DescriptorFields()
    while !reader.isAtEnd {
      let tag = try reader.readVarint()
      if tag == Tag.end.rawValue { break }
      let value = try reader.readSized(limit: Self.maximumEncodedByteCount)
      if let tag = Tag(rawValue: tag) { try fields.add(tag, value) }
    }
    while !reader.isAtEnd {
      guard try reader.readInteger(UInt8.self) == 0 else {
        throw FormatError("a descriptor with something behind its end")
      }
    }
    self = try fields.descriptor()
  }
}

/// The fields of a descriptor as they come.
private struct DescriptorFields {
  typealias Tag = ExtentDescriptor.Tag
  typealias Limit = ExtentDescriptor.Limit

  private var single: [Tag: [UInt8]] = [:]
  private var headers: [ExtentDescriptor.Field] = []
  private var userMetadata: [ExtentDescriptor.Field] = []
  private var checksums: [ExtentDescriptor.Checksum] = []

  mutating func add(_ tag: Tag, _ value: [UInt8]) throws(FormatError) {
    switch tag {
    case .header:
      guard headers.count < Limit.fields else { throw FormatError("too many headers") }
      headers.append(try Self.field(value))
    case .userMetadata:
      guard userMetadata.count < Limit.fields else { throw FormatError("too much metadata") }
      userMetadata.append(try Self.field(value))
    case .checksum:
      guard checksums.count < Limit.checksums else { throw FormatError("too many checksums") }
      checksums.append(try Self.checksum(value))
    default:
      guard single.updateValue(value, forKey: tag) == nil else {
        throw FormatError("descriptor field \(tag) is there twice")
      }
    }
  }

  func descriptor() throws(FormatError) -> ExtentDescriptor {
    guard let kind = ExtentDescriptor.Kind(rawValue: try required(.kind, try number(.kind))) else {
      throw FormatError("a descriptor of an unknown kind")
    }
    var result = ExtentDescriptor(
      kind: kind, bucketID: try required(.bucketID, try number(.bucketID)),
      bucketName: try required(.bucketName, try text(.bucketName, limit: Limit.bucketName)),
      key: try required(.key, try bytes(.key, limit: Limit.key)),
      tenantID: try required(.tenantID, try number(.tenantID)),
      ownerID: try required(.ownerID, try number(.ownerID)),
      sequence: try required(.sequence, try number(.sequence)), lastModified: try lastModified(),
      byteCount: try required(.byteCount, try number(.byteCount)))
    result.versionID = try text(.versionID, limit: Limit.identifier)
    result.uploadID = try text(.uploadID, limit: Limit.identifier)
    result.partNumber = try number(.partNumber)
    result.etag = try text(.etag, limit: Limit.etag) ?? ""
    result.storageClass = try text(.storageClass, limit: Limit.storageClass) ?? ""
    result.headers = headers
    result.userMetadata = userMetadata
    result.checksums = checksums
    if let bytes = single[.plaintextSHA256] {
      guard let digest = SHA256Digest(bytes) else { throw FormatError("a SHA-256 has 32 bytes") }
      result.plaintextSHA256 = digest
    }
    result.transform = try transform()
    return result
  }

  private func required<Value>(_ tag: Tag, _ value: Value?) throws(FormatError) -> Value {
    guard let value else { throw FormatError("a descriptor without field \(tag)") }
    return value
  }

  private func bytes(_ tag: Tag, limit: Int) throws(FormatError) -> [UInt8]? {
    guard let value = single[tag] else { return nil }
    guard value.count <= limit else {
      throw FormatError("descriptor field \(tag) of \(value.count) bytes, at most \(limit)")
    }
    return value
  }

  private func text(_ tag: Tag, limit: Int) throws(FormatError) -> String? {
    guard let value = try bytes(tag, limit: limit) else { return nil }
    guard let text = String(validating: value, as: UTF8.self) else {
      throw FormatError("descriptor field \(tag) is not UTF-8")
    }
    return text
  }

  private func number(_ tag: Tag) throws(FormatError) -> Int? {
    guard let value = single[tag] else { return nil }
    var reader = ByteReader(value)
    let number = try reader.readVarint()
    try reader.expectEnd()
    return number
  }

  private func lastModified() throws(FormatError) -> Timestamp {
    var reader = ByteReader(try required(.lastModified, single[.lastModified]))
    let milliseconds = try reader.readInteger(Int64.self)
    try reader.expectEnd()
    return Timestamp(milliseconds: milliseconds)
  }

  private func transform() throws(FormatError) -> ExtentDescriptor.Transform {
    guard let value = single[.transform] else { return .none }
    var reader = ByteReader(value)
    // The bytes cannot be read without knowing what was done to them: not to be skipped.
    guard try reader.readVarint() == ExtentDescriptor.zstandardTransform else {
      throw FormatError("an unknown transform")
    }
    let originalByteCount = try reader.readVarint()
    try reader.expectEnd()
    return .zstandard(originalByteCount: originalByteCount)
  }

  private static func field(_ value: [UInt8]) throws(FormatError) -> ExtentDescriptor.Field {
    var reader = ByteReader(value)
    let name = try reader.readString(limit: Limit.fieldName)
    let text = try reader.readString(limit: Limit.fieldValue)
    try reader.expectEnd()
    return ExtentDescriptor.Field(name: name, value: text)
  }

  private static func checksum(
    _ value: [UInt8]
  ) throws(FormatError) -> ExtentDescriptor.Checksum {
    var reader = ByteReader(value)
    let algorithm = try reader.readInteger(UInt8.self)
    let partCount = try reader.readVarint()
    let bytes = try reader.readSized(limit: Limit.checksumValue)
    try reader.expectEnd()
    return ExtentDescriptor.Checksum(algorithm: algorithm, partCount: partCount, value: bytes)
  }
}
