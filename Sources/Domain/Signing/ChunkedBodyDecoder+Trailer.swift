internal import Base

extension ChunkedBodyDecoder {
  private static let signatureName = "x-amz-trailer-signature"

  /// Gathers one line of the trailer, ended by LF or CR LF, and takes it; true at the trailer's end.
  mutating func readTrailerLine(
    _ bytes: RawSpan, _ position: inout Int
  ) throws(SigningError) -> Bool {
    while position < bytes.byteCount {
      let byte = Self.byte(bytes, position)
      position += 1
      trailerBytes += 1
      guard trailerBytes <= Self.maximumTrailerBytes else { throw Self.malformed }
      if byte != 0x0a {
        line.append(byte)
        continue
      }
      if line.last == 0x0d { line.removeLast() }
      if !line.isEmpty {
        try takeTrailerLine()
        return false
      }
      // One widespread client puts an empty line before the signature.
      if signer != nil && !trailerIsSigned && !sawEmptyTrailerLine {
        sawEmptyTrailerLine = true
        return false
      }
      try checkTrailer()
      return true
    }
    return false
  }

  private mutating func takeTrailerLine() throws(SigningError) {
    defer { line.removeAll(keepingCapacity: true) }
    guard !trailerIsSigned, let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
      throw Self.malformed
    }
    let value = line[(colon + 1)...].trimmingBlanks()
    guard let name = String(validating: line[..<colon], as: UTF8.self)?.lowercased(),
      let text = String(validating: value, as: UTF8.self),
      value.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
    else { throw Self.malformed }
    if signer != nil && name == Self.signatureName {
      guard let signature = CanonicalEncoding.digest(value),
        ConstantTime.equals(signer?.trailer(signedTrailer) ?? [], signature)
      else { throw Self.wrongSignature }
      trailerIsSigned = true
      return
    }
    guard expectedTrailers.contains(name), !trailers.contains(where: { $0.name == name }) else {
      throw Self.malformed
    }
    trailers.append((name, text))
    signedTrailer.append(contentsOf: name.utf8)
    signedTrailer.append(UInt8(ascii: ":"))
    signedTrailer.append(contentsOf: value)
    signedTrailer.append(0x0a)
  }

  /// Throws unless all that was announced has come, signed where chunks are.
  func checkTrailer() throws(SigningError) {
    guard signer == nil || trailerIsSigned else { throw Self.wrongSignature }
    guard trailers.count == expectedTrailers.count else { throw Self.malformed }
  }

  private static let malformed = SigningError(
    .malformedTrailer,
    "The request contained trailing data that was not well-formed or did not conform to our "
      + "published schema.")
}
