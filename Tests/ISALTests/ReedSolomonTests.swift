import Base
import ISAL
import Runtime
import Testing

@Suite("Reed–Solomon code")
struct ReedSolomonTests {
  static let schemes: [(Int, Int)] = [(1, 0), (2, 1), (4, 2), (8, 3)]

  private static func ramps(
    _ blocks: Int, of count: Int, step: Int, slope: Int, start: Int
  ) -> [[UInt8]] {
    (0..<blocks).map { block -> [UInt8] in
      (0..<count).map { UInt8(block * step + $0 * slope + start) }
    }
  }

  @Test("the parity of format 1 is frozen")
  func knownAnswers() throws {
    let data = Self.ramps(4, of: 8, step: 64, slope: 7, start: 1)
    let parity = try ReedSolomon(dataCount: 4, parityCount: 2).parity(of: data)
    #expect(parity.map { Hex.encode($0) } == ["a79a7a7d00738e89", "4f729295e89b6661"])
    let wide = Self.ramps(8, of: 4, step: 31, slope: 5, start: 3)
    let parity83 = try ReedSolomon(dataCount: 8, parityCount: 3).parity(of: wide)
    #expect(parity83.map { Hex.encode($0) } == ["ae8aeb27", "0c838b21", "24ad557b"])
    let parity21 = try ReedSolomon(dataCount: 2, parityCount: 1).parity(of: Array(data[..<2]))
    #expect(parity21.map { Hex.encode($0) } == ["b13c473940c54937"])
  }

  @Test("every loss of up to m blocks is made good", arguments: schemes)
  func everyLoss(_ dataCount: Int, _ parityCount: Int) throws {
    let code = ReedSolomon(dataCount: dataCount, parityCount: parityCount)
    let seed = UInt64(dataCount * 100 + parityCount)
    var random = SeededRandom(seed: seed)
    let fixed = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 1000, 4097, 70_000]
    let lengths = fixed + (0..<5).map { _ in Int.random(in: 1...70_000, using: &random) }
    for length in lengths {
      let data = (0..<dataCount).map { _ in random.bytes(length) }
      let blocks = data + (try code.parity(of: data))
      for pattern in 0..<(1 << code.blockCount) where pattern.nonzeroBitCount <= parityCount {
        // All patterns at the short lengths, a sample of the larger scheme's at the long ones.
        if length > 5000, code.blockCount > 6, Int.random(in: 0..<16, using: &random) > 0 {
          continue
        }
        let lost = (0..<code.blockCount).filter { pattern >> $0 & 1 == 1 }
        let left = (0..<code.blockCount).filter { pattern >> $0 & 1 == 0 }.shuffled(using: &random)
        let way = try code.reconstruction(available: left, wanted: lost)
        #expect(way.sources == Array(left.prefix(dataCount)))
        let made = try way.reconstruct(from: way.sources.map { blocks[$0] })
        #expect(
          made == lost.map { blocks[$0] }, "seed \(seed), length \(length), lost \(lost)")
      }
    }
  }

  @Test("too few blocks, unknown ones and double ones are refused")
  func refusals() throws {
    let code = ReedSolomon(dataCount: 4, parityCount: 2)
    #expect(throws: ErasureError.tooFewBlocks(available: 3, required: 4)) {
      try code.reconstruction(available: [0, 1, 5], wanted: [2])
    }
    #expect(throws: ErasureError.invalidBlock(6)) {
      try code.reconstruction(available: [0, 1, 2, 6], wanted: [3])
    }
    #expect(throws: ErasureError.invalidBlock(-1)) {
      try code.reconstruction(available: [0, 1, 2, 3], wanted: [-1])
    }
    #expect(throws: ErasureError.invalidBlock(1)) {
      try code.reconstruction(available: [0, 1, 1, 3], wanted: [2])
    }
    #expect(throws: ErasureError.mismatchedBlocks) {
      try code.parity(of: [[1], [2], [3]])
    }
    #expect(throws: ErasureError.mismatchedBlocks) {
      try code.parity(of: [[1], [2], [3], [4, 5]])
    }
    let way = try code.reconstruction(available: [1, 2, 3, 4], wanted: [0])
    #expect(throws: ErasureError.mismatchedBlocks) {
      try way.reconstruct(from: [[1], [2], [3]])
    }
  }

  @Test("buffers that differ in number or length are refused before any byte is written")
  func bufferBounds() throws {
    let code = ReedSolomon(dataCount: 2, parityCount: 1)
    let data: [UInt8] = [1, 2, 3, 4]
    var parity: [UInt8] = [9, 9, 9]
    data.withUnsafeBytes { data in
      parity.withUnsafeMutableBytes { parity in
        let halves = [
          UnsafeRawBufferPointer(rebasing: data[..<2]),
          UnsafeRawBufferPointer(rebasing: data[2...]),
        ]
        #expect(throws: ErasureError.mismatchedBlocks) {
          try code.encode(data: halves, parity: [parity])
        }
        #expect(throws: ErasureError.mismatchedBlocks) {
          try code.encode(data: halves, parity: [])
        }
      }
    }
    #expect(parity == [9, 9, 9])
  }

  @Test("blocks of no bytes have parity of no bytes")
  func empty() throws {
    let code = ReedSolomon(dataCount: 2, parityCount: 1)
    #expect(try code.parity(of: [[], []]) == [[]])
  }
}
