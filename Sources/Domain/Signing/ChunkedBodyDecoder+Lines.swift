internal import Base

extension ChunkedBodyDecoder {
  /// One byte of the input. Precondition: the offset is below its count.
  @inline(__always)
  static func byte(_ bytes: RawSpan, _ offset: Int) -> UInt8 {
    unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// Gathers a line that CR LF ends, without it; false when more input is needed.
  mutating func readLine(
    _ bytes: RawSpan, _ position: inout Int, limit: Int
  ) throws(SigningError) -> Bool {
    while position < bytes.byteCount {
      let byte = Self.byte(bytes, position)
      position += 1
      if byte == 0x0a {
        guard line.last == 0x0d else { throw ChunkHeader.invalid }
        line.removeLast()
        return true
      }
      guard line.count < limit - 1 else { throw ChunkHeader.invalid }
      line.append(byte)
    }
    return false
  }

  /// Reads CR LF; false when more input is needed.
  mutating func readLineEnd(
    _ bytes: RawSpan, _ position: inout Int
  ) throws(SigningError) -> Bool {
    while position < bytes.byteCount {
      let byte = Self.byte(bytes, position)
      position += 1
      if line.isEmpty && byte == 0x0d {
        line.append(byte)
      } else if !line.isEmpty && byte == 0x0a {
        line.removeAll(keepingCapacity: true)
        return true
      } else {
        throw ChunkHeader.invalid
      }
    }
    return false
  }
}

/// The line before a chunk: `size` or `size;chunk-signature=…`.
struct ChunkHeader {
  let size: Int
  /// 32 bytes, or none when chunks are not signed.
  let signature: [UInt8]

  init(_ line: [UInt8], isSigned: Bool) throws(SigningError) {
    let digits = line.prefix { $0 != UInt8(ascii: ";") }
    // Fifteen digits keep the number within an Int.
    guard (1...15).contains(digits.count) else { throw Self.invalid }
    var size = 0
    for digit in digits {
      guard let value = Hex.nibble(digit) else { throw Self.invalid }
      size = size << 4 | Int(value)
    }
    self.size = size
    guard isSigned else {
      signature = []
      return
    }
    let prefix = ";chunk-signature="
    let rest = line[digits.endIndex...]
    guard rest.starts(with: prefix.utf8),
      let bytes = CanonicalEncoding.digest(rest.dropFirst(prefix.utf8.count))
    else { throw ChunkedBodyDecoder.wrongSignature }
    signature = bytes
  }

  static let invalid = SigningError(
    .invalidChunkSize, "The chunk size or the framing of a chunk could not be read")
}
