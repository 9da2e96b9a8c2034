import Erasure
import Testing

@Suite struct StripeCoderTests {
  private func sample(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 97) }
  }

  /// All blocks of one stripe, data first.
  private func blocks(
    _ coder: StripeCoder, _ stored: [UInt8], length: Int, stride: Int
  ) throws -> [[UInt8]] {
    let scheme = coder.scheme
    var data = stored + [UInt8](repeating: 0xee, count: scheme.data * stride - stored.count)
    var parity = [UInt8](repeating: 0xdd, count: max(scheme.parity, 1) * stride)
    try data.withUnsafeMutableBytes { data in
      try coder.spread(data, count: stored.count, blockLength: length, stride: stride)
      try parity.withUnsafeMutableBytes { parity in
        try coder.encode(
          data: UnsafeRawBufferPointer(data), parity: parity, blockLength: length, stride: stride)
      }
    }
    return (0..<scheme.data).map { Array(data[$0 * stride..<$0 * stride + length]) }
      + (0..<scheme.parity).map { Array(parity[$0 * stride..<$0 * stride + length]) }
  }

  @Test("stored bytes come out of the data blocks as they went in, zeros behind them")
  func spread() throws {
    for (count, length) in [(1, 64), (64, 64), (65, 64), (200, 64), (256, 64), (4000, 1024)] {
      let coder = StripeCoder(scheme: .standard)
      let stored = sample(count)
      for stride in [length, length + 64, 4096] {
        let all = try blocks(coder, stored, length: length, stride: stride)
        let joined = all.prefix(4).flatMap { $0 }
        #expect(Array(joined.prefix(count)) == stored)
        #expect(joined.dropFirst(count).allSatisfy { $0 == 0 })
      }
    }
  }

  @Test("any k blocks give back all, for every loss of up to m", arguments: ["2+1", "4+2", "3+3"])
  func reconstruction(text: String) throws {
    let scheme = try ErasureScheme(text: text)
    let coder = StripeCoder(scheme: scheme)
    let all = try blocks(coder, sample(scheme.data * 320 - 7), length: 320, stride: 4096)
    for lost in 0..<(1 << scheme.total) where lost.nonzeroBitCount <= scheme.parity {
      let missing = (0..<scheme.total).filter { lost >> $0 & 1 == 1 }
      let there = (0..<scheme.total).filter { lost >> $0 & 1 == 0 }
      let way = try coder.reconstruction(available: there, wanted: missing)
      let made = try way.reconstruct(from: way.sources.map { all[$0] })
      #expect(made == missing.map { all[$0] })
    }
  }

  @Test("blocks that do not fit their memory are refused")
  func misfits() {
    let coder = StripeCoder(scheme: .standard)
    var data = [UInt8](repeating: 0, count: 4 * 4096)
    var parity = [UInt8](repeating: 0, count: 2 * 4096)
    for (length, stride) in [(4097, 4097), (64, 63), (64, 6000), (-1, 4096), (64, Int.max)] {
      data.withUnsafeMutableBytes { data in
        parity.withUnsafeMutableBytes { parity in
          #expect(throws: (any Error).self) {
            try coder.encode(
              data: UnsafeRawBufferPointer(data), parity: parity, blockLength: length,
              stride: stride)
          }
          #expect(throws: (any Error).self) {
            try coder.spread(data, count: 1, blockLength: length, stride: stride)
          }
        }
      }
    }
    data.withUnsafeMutableBytes { data in
      _ = #expect(throws: (any Error).self) {
        try coder.spread(data, count: 257, blockLength: 64, stride: 64)
      }
    }
  }

  @Test("a scheme without parity has nothing to encode")
  func noParity() throws {
    let coder = StripeCoder(scheme: try ErasureScheme(text: "1+0"))
    let stored = sample(100)
    #expect(try blocks(coder, stored, length: 128, stride: 4096)[0].prefix(100) == stored[...])
  }
}
