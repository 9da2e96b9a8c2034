internal import Base
public import Crypto

/// Takes `aws-chunked` framing off a body, in each of its three forms, and checks its signatures.
///
/// A pure state machine: input comes in pieces split anywhere, payload goes out as ranges of the
/// piece at hand, nothing is copied. In signed modes the driver feeds each range to `chunkDigest`
/// before it asks for the next event; a driver that forgets gets `SignatureDoesNotMatch`.
///
/// Payload is not verified when it is reported: in signed modes `.verified` follows once the
/// signature of its chunk held, and nothing may become visible before `.end`. After an error the
/// decoder must not be used again.
public struct ChunkedBodyDecoder: Sendable {
  /// What was found next in the input.
  public enum Event: Hashable, Sendable {
    /// A run of payload: offsets into the piece at hand, never empty.
    case payload(Range<Int>)
    /// The signature of the chunk held: all payload reported so far is what the client signed.
    case verified
    /// The body is complete: length, signatures and trailer hold. `trailers` is final.
    case end
  }

  /// The longest line before a chunk, line end included.
  public static let maximumHeaderBytes = 1024
  /// The longest trailer, line ends included.
  public static let maximumTrailerBytes = 8192
  /// The least payload of a signed chunk that another one with payload follows.
  public static let minimumSignedChunkBytes = 8192

  /// What takes the payload of the current chunk; nil when chunks are not signed.
  public let chunkDigest: Digest?
  /// The trailer fields received: lower-case name and value, the signature not among them.
  public internal(set) var trailers: [(name: String, value: String)] = []

  enum State: Hashable, Sendable {
    /// In the line before a chunk.
    case header
    /// In a chunk's payload; so many bytes are still to come.
    case payload(remaining: Int)
    /// Behind a chunk's payload; a line end follows.
    case payloadEnd
    /// Behind the last chunk, in a mode without trailer; a line end follows.
    case finalLineEnd
    /// In the lines of the trailer.
    case trailer
    /// Complete; nothing but a line end may follow.
    case end
  }

  var state = State.header
  var line: [UInt8] = []
  var signer: ChunkSigner?
  let hasTrailer: Bool
  let expectedTrailers: [String]
  var trailerBytes = 0
  var signedTrailer: [UInt8] = []
  var trailerIsSigned = false
  var sawEmptyTrailerLine = false

  private let decodedLength: Int
  private var received = 0
  /// The size of the chunk before, once it was below the least.
  private var smallChunk: Int?
  private var chunks = 0
  private var chunkSignature: [UInt8] = []
  private var surplus = 0

  /// Makes a decoder for one body.
  ///
  /// - Parameters:
  ///   - mode: a chunked mode; nil is returned for the others, and for a signed one without signer.
  ///   - signer: continues the chain of signatures from the request's head.
  ///   - decodedLength: the value of `x-amz-decoded-content-length`, not negative.
  ///   - expectedTrailers: the lower-case names announced in `x-amz-trailer`.
  public init?(
    mode: PayloadMode, signer: ChunkSigner?, decodedLength: Int, expectedTrailers: [String]
  ) {
    guard mode.isChunked, decodedLength >= 0 else { return nil }
    let isSigned = mode != .unsignedChunksAndTrailer
    guard (signer != nil) == isSigned else { return nil }
    self.signer = signer
    chunkDigest = isSigned ? Digest(.sha256) : nil
    hasTrailer = mode.hasTrailer
    self.decodedLength = decodedLength
    self.expectedTrailers = expectedTrailers
  }

  /// The next event in `bytes` at or after `position`, which moves behind what was consumed; nil
  /// when all of it was consumed and more is needed.
  ///
  /// Precondition: `position` is at most `bytes.byteCount`.
  public mutating func next(
    _ bytes: RawSpan, at position: inout Int
  ) throws(SigningError) -> Event? {
    while position < bytes.byteCount {
      switch state {
      case .header:
        guard try readLine(bytes, &position, limit: Self.maximumHeaderBytes) else { return nil }
        if try beginChunk() { return .verified }
      case .payload(let remaining):
        let count = min(remaining, bytes.byteCount - position)
        let range = position..<position + count
        position += count
        state = count == remaining ? .payloadEnd : .payload(remaining: remaining - count)
        return .payload(range)
      case .payloadEnd:
        // The digest is complete now: the driver was given every byte before.
        if try verifyChunk() { return .verified }
        guard try readLineEnd(bytes, &position) else { return nil }
        state = .header
      case .finalLineEnd:
        guard try readLineEnd(bytes, &position) else { return nil }
        state = .end
        return .end
      case .trailer:
        guard try readTrailerLine(bytes, &position) else { continue }
        state = .end
        return .end
      case .end:
        try skipSurplus(bytes, &position)
      }
    }
    return nil
  }

  /// Ends the input; throws `IncompleteBody` unless everything that counts has come.
  ///
  /// The line end after the last chunk or trailer may be missing: some clients leave it out.
  public mutating func finish() throws(SigningError) {
    switch state {
    case .end: return
    case .finalLineEnd where line.isEmpty: state = .end
    case .trailer where line.isEmpty:
      try checkTrailer()
      state = .end
    case .header, .payload, .payloadEnd, .finalLineEnd, .trailer:
      throw SigningError(.incompleteBody, "The request body terminated unexpectedly")
    }
  }

  /// Takes the line that was read as the head of a chunk; true when the last chunk was verified.
  private mutating func beginChunk() throws(SigningError) -> Bool {
    let head = try ChunkHeader(line, isSigned: signer != nil)
    line.removeAll(keepingCapacity: true)
    guard head.size <= decodedLength - received else { throw Self.wrongLength }
    if head.size > 0 {
      if signer != nil {
        if let smallChunk {
          throw SigningError(
            .invalidChunkSize,
            "Only the last chunk is allowed to have a size less than 8192 bytes",
            details: [.init("Chunk", "\(chunks)"), .init("BadChunkSize", "\(smallChunk)")])
        }
        if head.size < Self.minimumSignedChunkBytes { smallChunk = head.size }
        chunks += 1
      }
      received += head.size
      chunkSignature = head.signature
      state = .payload(remaining: head.size)
      return false
    }
    guard received == decodedLength else { throw Self.wrongLength }
    chunkSignature = head.signature
    let verified = try verifyChunk()
    state = hasTrailer ? .trailer : .finalLineEnd
    return verified
  }

  /// Checks the signature of the chunk that just ended, once; false when there is none to check.
  private mutating func verifyChunk() throws(SigningError) -> Bool {
    guard let chunkDigest, !chunkSignature.isEmpty, signer != nil else { return false }
    let expected = signer?.chunk(digest: chunkDigest.finish()) ?? []
    guard ConstantTime.equals(expected, chunkSignature) else { throw Self.wrongSignature }
    chunkSignature = []
    return true
  }

  private mutating func skipSurplus(
    _ bytes: RawSpan, _ position: inout Int
  ) throws(SigningError) {
    let byte = Self.byte(bytes, position)
    guard byte == 0x0d || byte == 0x0a, surplus < 4 else {
      throw SigningError(.incompleteBody, "There are bytes behind the end of the chunked body")
    }
    surplus += 1
    position += 1
  }

  static let wrongSignature = SigningError(
    .signatureDoesNotMatch,
    "The request signature we calculated does not match the signature you provided. Check your "
      + "key and signing method.")
  private static let wrongLength = SigningError(
    .incompleteBody,
    "You did not provide the number of bytes specified by the x-amz-decoded-content-length header")
}
