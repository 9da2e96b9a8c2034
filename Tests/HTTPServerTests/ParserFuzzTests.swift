import Runtime
import Testing

@testable import HTTPServer

@Suite("Parser under random input")
struct ParserFuzzTests {
  private static let requests = [
    "GET /small HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world",
    "PUT /b?x=%2F HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      + "5;a=b\r\nhello\r\n0005\r\nworld\r\n0\r\nX-T: 1\r\n\r\n",
    "PUT /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "\r\nHEAD http://h:80/d HTTP/1.0\r\nConnection: keep-alive\r\nA: \t b \t\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost: [::1]:9\r\nConnection: a, close\r\n\r\n",
  ]
  private static let pieces = [
    "\r", "\n", "\r\n", "\0", " ", "\t", ":", "0", "ffffffffffffffff", "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n", "Host: y\r\n", "%", ";", "HTTP/1.1", "\r\n\r\n",
    String(repeating: "A", count: 5000),
  ]

  private static func stream(_ generator: inout SeededRandom, mutations: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      bytes += Array(requests.randomElement(using: &generator, or: "").utf8)
    }
    for _ in 0..<mutations where !bytes.isEmpty {
      let position = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<3, using: &generator) {
      case 0:
        bytes.insert(
          contentsOf: Array(pieces.randomElement(using: &generator, or: "").utf8), at: position)
      case 1: bytes[position] = UInt8.random(in: 0...255, using: &generator)
      default:
        let count = min(Int.random(in: 1...6, using: &generator), bytes.count - position)
        bytes.removeSubrange(position..<position + count)
      }
    }
    return bytes
  }

  private static func cut(
    _ bytes: [UInt8], _ generator: inout SeededRandom
  ) -> [ArraySlice<UInt8>] {
    var result: [ArraySlice<UInt8>] = []
    var start = 0
    while start < bytes.count {
      let most = [1, 3, 20, 500].randomElement(using: &generator) ?? 1
      let end = min(bytes.count, start + Int.random(in: 1...most, using: &generator))
      result.append(bytes[start..<end])
      start = end
    }
    return result
  }

  @Test("How a stream is split into reads changes nothing", arguments: [false, true])
  func isSplitInvariant(mutates: Bool) {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var generator = SeededRandom(seed: seed)
    var requests = 0
    var refusals = 0
    for round in 0..<2000 {
      let mutations = mutates ? Int.random(in: 1...4, using: &generator) : 0
      let bytes = Self.stream(&generator, mutations: mutations)
      let whole = RequestStream.log([bytes[...]])
      let pieces = RequestStream.log(Self.cut(bytes, &generator))
      let single = RequestStream.log(bytes.indices.map { bytes[$0...$0] })
      guard whole == pieces && whole == single else {
        Issue.record("seed \(seed) round \(round): \(String(decoding: bytes, as: UTF8.self))")
        return
      }
      requests += whole.count
      refusals += whole.count { $0.hasPrefix("refused") }
    }
    #expect(requests > 2000)
    #expect(mutates ? refusals > 500 : refusals == 0)
  }

  @Test("Random bytes never end the process, in the parsers or in their readers")
  func survivesNoise() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var generator = SeededRandom(seed: seed)
    let alphabet = Array("\r\n\r\n\0 \t:;,/?*GETPU0123456789abcdefHost:HTTP/1.1chunked".utf8)
    for _ in 0..<2000 {
      let count = Int.random(in: 0...300, using: &generator)
      var bytes = (0..<count).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
      // Behind a good start more of the parser is reached.
      if Bool.random(using: &generator) {
        bytes =
          Array("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".utf8) + bytes
      }
      _ = RequestStream.log([bytes[...]])
      // A head that no scanner has seen must be survived as well.
      if let parsed = try? RequestHeadParser.parse(bytes, maximumFields: 8) {
        _ = (parsed.head.path, parsed.head.query, parsed.head.authority)
      }
    }
  }
}

extension Array {
  fileprivate func randomElement(
    using generator: inout SeededRandom, or fallback: Element
  ) -> Element {
    randomElement(using: &generator) ?? fallback
  }
}
