import Base

extension ExtentDescriptor {
  /// Version, fields in ascending order of their tags, zeros to a multiple of 64 bytes.
  ///
  /// Throws when a number is negative or a field or the whole is longer than the format allows.
  func encoded() throws(FormatError) -> [UInt8] {
    var writer = ByteWriter(capacity: 512)
    writer.write(Self.formatVersion)
    try write(.kind, kind.rawValue, to: &writer)
    try write(.bucketID, bucketID, to: &writer)
    try write(.bucketName, bucketName, limit: Limit.bucketName, to: &writer)
    try write(.key, key, limit: Limit.key, to: &writer)
    if let versionID {
      try write(.versionID, versionID, limit: Limit.identifier, to: &writer)
    }
    if let uploadID { try write(.uploadID, uploadID, limit: Limit.identifier, to: &writer) }
    if let partNumber { try write(.partNumber, partNumber, to: &writer) }
    try write(.tenantID, tenantID, to: &writer)
    try write(.ownerID, ownerID, to: &writer)
    try write(.sequence, sequence, to: &writer)
    var time = ByteWriter(capacity: 8)
    time.write(lastModified.milliseconds)
    try write(.lastModified, time.bytes, limit: 8, to: &writer)
    try write(.byteCount, byteCount, to: &writer)
    if !etag.isEmpty { try write(.etag, etag, limit: Limit.etag, to: &writer) }
    if !storageClass.isEmpty {
      try write(.storageClass, storageClass, limit: Limit.storageClass, to: &writer)
    }
    try write(.header, headers, to: &writer)
    try write(.userMetadata, userMetadata, to: &writer)
    try writeChecksums(to: &writer)
    if let plaintextSHA256 {
      try write(
        .plaintextSHA256, plaintextSHA256.bytes, limit: SHA256Digest.byteCount, to: &writer)
    }
    if case .zstandard(let originalByteCount) = transform {
      guard originalByteCount >= 0 else { throw FormatError("a length is negative") }
      var value = ByteWriter(capacity: 10)
      value.writeVarint(Self.zstandardTransform)
      value.writeVarint(originalByteCount)
      try write(.transform, value.bytes, limit: 16, to: &writer)
    }
    writer.pad(to: Self.paddingUnit)
    guard writer.count <= Self.maximumEncodedByteCount else {
      throw FormatError("a descriptor of \(writer.count) bytes")
    }
    return writer.bytes
  }

  private func write(
    _ tag: Tag, _ value: [UInt8], limit: Int, to writer: inout ByteWriter
  ) throws(FormatError) {
    guard value.count <= limit else {
      throw FormatError("descriptor field \(tag) of \(value.count) bytes, at most \(limit)")
    }
    writer.writeVarint(tag.rawValue)
    writer.writeSized(value)
  }

  private func write(
    _ tag: Tag, _ value: String, limit: Int, to writer: inout ByteWriter
  ) throws(FormatError) {
    try write(tag, Array(value.utf8), limit: limit, to: &writer)
  }

  private func write(
    _ tag: Tag, _ value: Int, to writer: inout ByteWriter
  ) throws(FormatError) {
    guard value >= 0 else { throw FormatError("descriptor field \(tag) is negative") }
    var number = ByteWriter(capacity: 9)
    number.writeVarint(value)
    try write(tag, number.bytes, limit: 9, to: &writer)
  }

  private func write(
    _ tag: Tag, _ fields: [Field], to writer: inout ByteWriter
  ) throws(FormatError) {
    guard fields.count <= Limit.fields else {
      throw FormatError("\(fields.count) descriptor fields \(tag), at most \(Limit.fields)")
    }
    for field in fields {
      guard field.name.utf8.count <= Limit.fieldName, field.value.utf8.count <= Limit.fieldValue
      else { throw FormatError("a descriptor field \(tag) is too long") }
      var value = ByteWriter(capacity: 64)
      value.writeString(field.name)
      value.writeString(field.value)
      try write(tag, value.bytes, limit: Self.maximumEncodedByteCount, to: &writer)
    }
  }

  private func writeChecksums(to writer: inout ByteWriter) throws(FormatError) {
    guard checksums.count <= Limit.checksums else {
      throw FormatError("\(checksums.count) checksums, at most \(Limit.checksums)")
    }
    for checksum in checksums {
      guard checksum.partCount >= 0, checksum.value.count <= Limit.checksumValue else {
        throw FormatError("a checksum of \(checksum.value.count) bytes")
      }
      var value = ByteWriter(capacity: 48)
      value.write(checksum.algorithm)
      value.writeVarint(checksum.partCount)
      value.writeSized(checksum.value)
      try write(.checksum, value.bytes, limit: 128, to: &writer)
    }
  }
}
