import Base
import Crypto
import Runtime
import Signing
import Testing

/// Drives a decoder over pieces of a body as a server does.
func decode(
  _ decoder: ChunkedBodyDecoder?, pieces: [[UInt8]]
) throws -> (payload: [UInt8], trailers: [String: String], verified: Int, ended: Bool) {
  var decoder = try #require(decoder)
  var payload: [UInt8] = []
  var verified = 0
  var ended = false
  for piece in pieces {
    var position = 0
    while let event = try decoder.next(piece.span.bytes, at: &position) {
      switch event {
      case .payload(let range):
        #expect(!range.isEmpty)
        payload += piece[range]
        decoder.chunkDigest?.update(piece[range])
      case .verified: verified = payload.count
      case .end:
        #expect(!ended)
        ended = true
      }
    }
    #expect(position == piece.count)
  }
  try decoder.finish()
  let trailers = Dictionary(uniqueKeysWithValues: decoder.trailers.map { ($0.name, $0.value) })
  return (payload, trailers, verified, ended)
}

func decodeError(_ decoder: ChunkedBodyDecoder?, _ body: [UInt8]) -> SigningError.Code? {
  do {
    _ = try decode(decoder, pieces: [body])
    return nil
  } catch {
    return (error as? SigningError)?.code
  }
}

/// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
/// sigv4-streaming-trailers.html: 65 KiB of `a` in two chunks.
enum PublishedChunks {
  static let payload = [UInt8](repeating: 0x61, count: 66_560)

  static func request(trailer: Bool) -> TestRequest {
    var request = TestRequest(
      "PUT", "/examplebucket/chunkObject.txt",
      [
        ("Host", "s3.amazonaws.com"), ("x-amz-date", Example.time),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"), ("Content-Encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"), ("Content-Length", "66824"),
      ])
    if trailer {
      request.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
      request.set("x-amz-trailer", "x-amz-checksum-crc32c")
      request.set(
        "Authorization",
        Example.authorization(
          "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
            + "x-amz-storage-class;x-amz-trailer",
          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"))
    } else {
      request.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
      request.set(
        "Authorization",
        Example.authorization(
          "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
            + "x-amz-decoded-content-length;x-amz-storage-class",
          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"))
    }
    return request
  }

  static func body(trailer: Bool) -> [UInt8] {
    let signatures =
      trailer
      ? [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
      ]
      : [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
      ]
    var body = Array("10000;chunk-signature=\(signatures[0])\r\n".utf8)
    body += payload[..<65_536]
    body += Array("\r\n400;chunk-signature=\(signatures[1])\r\n".utf8)
    body += payload[65_536...]
    body += Array("\r\n0;chunk-signature=\(signatures[2])\r\n".utf8)
    if trailer {
      body += Array(
        ("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
          + "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n").utf8)
    }
    return body + [0x0d, 0x0a]
  }
}

@Suite("Published chunked uploads")
struct PublishedChunkTests {
  @Test(
    "AWS's signed chunks and trailer verify, whatever the split",
    arguments: [false, true], [1, 7, 89, 4096, 65_536, 100_000])
  func published(trailer: Bool, split: Int) throws {
    let signed = try #require(try PublishedChunks.request(trailer: trailer).check())
    #expect(signed.payload == (trailer ? .signedChunksAndTrailer : .signedChunks))
    let key = try SigningKey(secretKey: Example.secretKey, scope: #require(signed.scope))
    let decoder = ChunkedBodyDecoder(
      mode: signed.payload, signer: signed.chunkSigner(key), decodedLength: 66_560,
      expectedTrailers: trailer ? ["x-amz-checksum-crc32c"] : [])
    let result = try decode(decoder, pieces: PublishedChunks.body(trailer: trailer).pieces(split))
    #expect(result.payload == PublishedChunks.payload)
    #expect(result.verified == 66_560)
    #expect(result.ended)
    #expect(result.trailers == (trailer ? ["x-amz-checksum-crc32c": "sOO8/Q=="] : [:]))
  }
}

extension [UInt8] {
  func pieces(_ size: Int) -> [[UInt8]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min(count, $0 + size)]) }
  }
}

@Suite("Chunked bodies")
struct ChunkedBodyTests {
  static let modes: [PayloadMode] = [
    .signedChunks, .signedChunksAndTrailer, .unsignedChunksAndTrailer,
  ]
  static let name = "x-amz-checksum-crc32"
  static let trailer = [(name: name, value: "AAAAAA==")]

  static func signer(seed: UInt8 = 7) -> ChunkSigner {
    let scope = CredentialScope(date: "20130524", region: "us-east-1")
    return ChunkSigner(
      key: SigningKey(secretKey: Example.secretKey, scope: scope), time: Example.time,
      scope: scope, seed: [UInt8](repeating: seed, count: 32))
  }

  static func decoder(
    _ mode: PayloadMode, length: Int, seed: UInt8 = 7, trailers: [String]? = nil
  ) -> ChunkedBodyDecoder? {
    ChunkedBodyDecoder(
      mode: mode, signer: mode == .unsignedChunksAndTrailer ? nil : signer(seed: seed),
      decodedLength: length, expectedTrailers: trailers ?? (mode.hasTrailer ? [name] : []))
  }

  static func body(_ mode: PayloadMode, _ payload: [UInt8], chunk: Int = 8192) -> [UInt8] {
    ChunkedBodyEncoder.encode(
      payload, signer: mode == .unsignedChunksAndTrailer ? nil : signer(),
      trailers: mode.hasTrailer ? trailer : nil, chunkBytes: chunk)
  }

  @Test("every split gives the same payload and events", arguments: modes, 0..<4)
  func splitInvariance(mode: PayloadMode, seed: UInt64) throws {
    print("Chunked split seed \(seed)")
    var random = SeededRandom(seed: seed)
    for length in [0, 1, 8191, 8192, 8193, 20_000] {
      let payload = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      let body = Self.body(mode, payload)
      for _ in 0..<10 {
        var pieces: [[UInt8]] = []
        var rest = body[...]
        while !rest.isEmpty {
          let count = Bool.random(using: &random) ? 3000 : 5
          let piece = rest.prefix(Int.random(in: 0...count, using: &random))
          pieces.append(Array(piece))
          rest = rest.dropFirst(piece.count)
        }
        let result = try decode(Self.decoder(mode, length: length), pieces: pieces)
        #expect(result.payload == payload)
        #expect(result.ended)
        #expect(result.verified == (mode == .unsignedChunksAndTrailer ? 0 : length))
        #expect(result.trailers.count == (mode.hasTrailer ? 1 : 0))
      }
    }
  }

  @Test("a wrong seed signature is refused", arguments: modes.prefix(2))
  func wrongSeedClass1(mode: PayloadMode) {
    let body = Self.body(mode, [1, 2, 3])
    #expect(decodeError(Self.decoder(mode, length: 3), body) == nil)
    #expect(decodeError(Self.decoder(mode, length: 3, seed: 8), body) == .signatureDoesNotMatch)
  }

  @Test(
    "each chunk's signature and payload is checked, the last empty one too",
    arguments: modes.prefix(2))
  func wrongChunkClass1(mode: PayloadMode) throws {
    let payload = [UInt8](repeating: 0x41, count: 3 * 8192 + 5)
    let body = Self.body(mode, payload)
    let text = String(decoding: body, as: UTF8.self)
    let places = text.utf8.indices.filter { text[$0...].utf8.starts(with: "chunk-signature=".utf8) }
      .map { text.utf8.distance(from: text.utf8.startIndex, to: $0) }
    #expect(places.count == 5)
    for place in places {
      var wrong = body
      wrong[place + 20] ^= 1
      #expect(
        decodeError(Self.decoder(mode, length: payload.count), wrong) == .signatureDoesNotMatch)
      // One byte of what the signature covers; the last chunk covers nothing.
      if place != places.last {
        var tampered = body
        tampered[place + 16 + 64 + 2] ^= 1
        let error = decodeError(Self.decoder(mode, length: payload.count), tampered)
        #expect(error == .signatureDoesNotMatch)
      }
    }
  }

  @Test("a payload that the driver did not digest is never verified")
  func forgetfulDriver() throws {
    var decoder = try #require(Self.decoder(.signedChunks, length: 3))
    let body = Self.body(.signedChunks, [1, 2, 3])
    var position = 0
    #expect(throws: SigningError.self) {
      while let event = try decoder.next(body.span.bytes, at: &position) {
        if event == .verified { break }
      }
    }
  }

  @Test("chunks cannot be left out, swapped or repeated")
  func reorderedClass1() throws {
    let payload = (0..<3).flatMap { [UInt8](repeating: $0, count: 8192) }
    let body = Self.body(.signedChunks, payload)
    let chunk = 4 + 17 + 64 + 2 + 8192 + 2
    let chunks = (0..<3).map { Array(body[$0 * chunk..<($0 + 1) * chunk]) }
    let last = Array(body[(3 * chunk)...])
    func error(_ order: [Int]) -> SigningError.Code? {
      decodeError(
        Self.decoder(.signedChunks, length: order.count * 8192),
        order.flatMap { chunks[$0] } + last)
    }
    #expect(error([0, 1, 2]) == nil)
    for order in [[1, 0, 2], [0, 2], [0, 1], [0, 0, 1, 2], [0, 1, 2, 2], []] {
      #expect(error(order) == .signatureDoesNotMatch, "\(order)")
    }
  }

  @Test("the trailer must be there, be announced, be signed and be well-formed")
  func trailerClass1() {
    let mode = PayloadMode.signedChunksAndTrailer
    let whole = String(decoding: Self.body(mode, []), as: UTF8.self)
    func error(_ change: (String) -> String, trailers: [String]? = nil) -> SigningError.Code? {
      decodeError(Self.decoder(mode, length: 0, trailers: trailers), Array(change(whole).utf8))
    }
    let line = "\(Self.name):AAAAAA==\r\n"
    #expect(error { $0 } == nil)
    #expect(error { $0.replacing("AAAAAA==", with: "AAAAAB==") } == .signatureDoesNotMatch)
    #expect(error { $0.replacing(line, with: "") } == .signatureDoesNotMatch)
    #expect(error { $0.replacing("\(Self.name):", with: "x-amz-meta-a:") } == .malformedTrailer)
    #expect(error { $0.replacing(line, with: line + line) } == .malformedTrailer)
    #expect(error { $0.replacing(line, with: "nothing\r\n") } == .malformedTrailer)
    #expect(error({ $0 }, trailers: []) == .malformedTrailer)
    #expect(error({ $0 }, trailers: [Self.name, "x-amz-checksum-sha1"]) == .malformedTrailer)
    #expect(error { $0.before("x-amz-trailer") } == .signatureDoesNotMatch)
    #expect(error { $0.before("x-amz-trailer") + "\r\n\r\n" } == .signatureDoesNotMatch)
    #expect(error { String($0.dropLast(1)) } == nil)
    #expect(error { String($0.dropLast(2)) } == .incompleteBody)
    let flipped = whole.replacing("trailer-signature:", with: "trailer-signature:0")
    #expect(error { _ in flipped } == .signatureDoesNotMatch)
  }

  @Test("forms of the trailer that clients in the field send are read")
  func trailerForms() throws {
    let forms = [
      "0\r\n\(Self.name):AAAAAA==\r\n\r\n", "0\r\n\(Self.name):AAAAAA==\n\r\n\r\n",
      "0\r\n\(Self.name.uppercased()): AAAAAA== \r\n\r\n", "0\r\n\(Self.name):AAAAAA==\r\n",
    ]
    for form in forms {
      let result = try decode(
        Self.decoder(.unsignedChunksAndTrailer, length: 0), pieces: [Array(form.utf8)])
      #expect(result.trailers == [Self.name: "AAAAAA=="])
    }
    let signed = String(decoding: Self.body(.signedChunksAndTrailer, []), as: UTF8.self)
    let spaced = signed.replacing("==\r\n", with: "==\n\r\n")
    #expect(
      decodeError(Self.decoder(.signedChunksAndTrailer, length: 0), Array(spaced.utf8)) == nil)
  }

  @Test("in the unsigned mode a missing, unannounced or endless trailer is refused")
  func unsignedTrailerClass1() {
    func error(_ text: String, trailers: [String]? = nil) -> SigningError.Code? {
      decodeError(
        Self.decoder(.unsignedChunksAndTrailer, length: 1, trailers: trailers), Array(text.utf8))
    }
    #expect(error("1\r\na\r\n0\r\n\(Self.name):x\r\n\r\n") == nil)
    #expect(error("1\r\na\r\n0\r\n\r\n") == .malformedTrailer)
    #expect(error("1\r\na\r\n0\r\n\r\n", trailers: []) == nil)
    #expect(error("1\r\na\r\n0\r\nx-amz-acl:x\r\n\r\n") == .malformedTrailer)
    #expect(
      error("1\r\na\r\n0\r\nx-amz-trailer-signature:00\r\n\r\n", trailers: []) == .malformedTrailer)
    let long = "1\r\na\r\n0\r\n\(Self.name):" + String(repeating: "x", count: 9000)
    #expect(error(long) == .malformedTrailer)
  }

  @Test(
    "the decoded length is exact and the end is one end",
    arguments: [
      ("1\r\na\r\n0\r\n\r\n", SigningError.Code?.none),
      ("1\r\na\r\n0\r\n", nil),
      ("1\r\na\r\n0\r\n\r\n\r\n", nil),
      ("1;ext=1\r\na\r\n0\r\n\r\n", nil),
      ("2\r\nab\r\n0\r\n\r\n", .incompleteBody),
      ("0\r\n\r\n", .incompleteBody),
      ("1\r\na\r\n1\r\nb\r\n0\r\n\r\n", .incompleteBody),
      ("1\r\na\r\n0\r\n\r\n0\r\n\r\n", .incompleteBody),
      ("1\r\na\r\n0\r\n\r\nx", .incompleteBody),
      ("1\r\na\r\n0\r\n\r\n\r\n\r\n\r\n", .incompleteBody),
      ("1\r\na\r\n", .incompleteBody), ("1\r\na", .incompleteBody), ("1\r\n", .incompleteBody),
      ("1", .incompleteBody), ("", .incompleteBody),
      ("\r\n", .invalidChunkSize), ("g\r\n", .invalidChunkSize), ("-1\r\n", .invalidChunkSize),
      ("0x1\r\na\r\n", .invalidChunkSize), (" 1\r\na\r\n", .invalidChunkSize),
      ("1\na\r\n0\r\n\r\n", .invalidChunkSize), ("1\r\nab\r\n", .invalidChunkSize),
      ("1\r\na\n0\r\n\r\n", .invalidChunkSize),
      ("ffffffffffffffff\r\n", .invalidChunkSize),
      ("fffffffffffffff\r\n", .incompleteBody),
    ])
  func framingClass24(text: String, code: SigningError.Code?) {
    let decoder = Self.decoder(.unsignedChunksAndTrailer, length: 1, trailers: [])
    #expect(decodeError(decoder, Array(text.utf8)) == code)
  }

  @Test("a chunk header has a bound")
  func headerBoundClass27() {
    let decoder = Self.decoder(.unsignedChunksAndTrailer, length: 1, trailers: [])
    let body = Array(("1;" + String(repeating: "x", count: 2000)).utf8)
    #expect(decodeError(decoder, body) == .invalidChunkSize)
  }

  @Test("a signed chunk below 8 KiB is the last one with payload")
  func smallChunks() {
    let payload = [UInt8](repeating: 1, count: 9000)
    let body = Self.body(.signedChunks, payload, chunk: 8191)
    #expect(decodeError(Self.decoder(.signedChunks, length: 9000), body) == .invalidChunkSize)
    let unsigned = Self.body(.unsignedChunksAndTrailer, payload, chunk: 100)
    #expect(decodeError(Self.decoder(.unsignedChunksAndTrailer, length: 9000), unsigned) == nil)
  }

  @Test("a decoder is made for chunked modes only, signed ones with a signer")
  func wrongModes() {
    #expect(Self.decoder(.unsigned, length: 0) == nil)
    #expect(Self.decoder(.signedChunks, length: -1) == nil)
    #expect(
      ChunkedBodyDecoder(
        mode: .signedChunks, signer: nil, decodedLength: 0, expectedTrailers: []) == nil)
    #expect(
      ChunkedBodyDecoder(
        mode: .unsignedChunksAndTrailer, signer: Self.signer(), decodedLength: 0,
        expectedTrailers: []) == nil)
  }

  @Test("any bytes give an error or the payload that was signed", arguments: modes, 0..<4)
  func fuzzClass24(mode: PayloadMode, seed: UInt64) throws {
    print("Chunked fuzz seed \(seed)")
    var random = SeededRandom(seed: seed)
    let payload = [UInt8](repeating: 0x30, count: 8200)
    let body = Self.body(mode, payload)
    for _ in 0..<300 {
      var bytes = body
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.removeSubrange(index..<min(bytes.count, index + 5))
        default: bytes.insert(contentsOf: bytes[index...].prefix(5), at: index)
        }
        if bytes.isEmpty { break }
      }
      let pieces = bytes.pieces(Int.random(in: 1...9000, using: &random))
      guard let result = try? decode(Self.decoder(mode, length: 8200), pieces: pieces) else {
        continue
      }
      #expect(result.payload.count == 8200)
      if mode != .unsignedChunksAndTrailer { #expect(result.payload == payload) }
    }
  }
}

extension String {
  /// What stands before the first place of a text; all of it when there is none.
  fileprivate func before(_ text: String) -> String {
    String(self[..<(ranges(of: text).first?.lowerBound ?? endIndex)])
  }
}
