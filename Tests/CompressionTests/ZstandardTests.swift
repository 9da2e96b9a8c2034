import Base
import Compression
import Testing

@Suite("Zstandard")
struct ZstandardTests {
  static let inputs: [[UInt8]] = [
    [], [1], Array("hello hello hello hello".utf8), [UInt8](repeating: 0, count: 1 << 20),
    (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) },
  ]

  @Test("what is compressed decompresses, at a limit of exactly its length", arguments: inputs)
  func roundTrip(_ bytes: [UInt8]) throws {
    for level in [1, 3, 19] {
      let compressed = Zstandard.compress(bytes, level: level)
      #expect(try Zstandard.decompress(compressed, limit: bytes.count) == bytes)
      #expect(try Zstandard.decompress(compressed, limit: .max) == bytes)
    }
  }

  @Test("repetition becomes short")
  func compresses() {
    #expect(Zstandard.compress([UInt8](repeating: 7, count: 1 << 20)).count < 200)
  }

  @Test("a bomb is refused by what it declares")
  func bomb() {
    let bomb = Zstandard.compress([UInt8](repeating: 0, count: 1 << 24))
    #expect(bomb.count < 2000)
    #expect(throws: CompressionError.tooLarge) {
      try Zstandard.decompress(bomb, limit: (1 << 24) - 1)
    }
    #expect(throws: CompressionError.tooLarge) { try Zstandard.decompress(bomb, limit: 0) }
  }

  @Test("a frame that holds more than it declares is refused")
  func lyingFrame() throws {
    // Frame header descriptor 0x20: one byte of content size, single segment, no checksum; then one
    // run-length block of 100 bytes.
    let frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 100, 0x23, 0x03, 0x00, 0x41]
    #expect(
      try Zstandard.decompress(frame, limit: 100) == [UInt8](repeating: 0x41, count: 100))
    var lying = frame
    lying[5] = 5
    #expect(throws: CompressionError.corrupt) { try Zstandard.decompress(lying, limit: 100) }
    lying[5] = 200
    #expect(throws: CompressionError.corrupt) { try Zstandard.decompress(lying, limit: 200) }
  }

  @Test("a frame that does not declare its length, two frames and bytes behind one are refused")
  func wrongShapes() {
    let undeclared: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x23, 0x03, 0x00, 0x41]
    let frame = Zstandard.compress([1, 2, 3])
    for bytes in [undeclared, frame + frame, frame + [0], [], [1, 2, 3]] {
      #expect(throws: CompressionError.corrupt) { try Zstandard.decompress(bytes, limit: 1000) }
    }
  }

  @Test("every flipped bit and every missing end is an error or the same bytes")
  func damage() {
    let bytes = Array("a text with some text in it, some more text, and an end".utf8)
    let frame = Zstandard.compress(bytes)
    for bit in 0..<frame.count * 8 {
      var bad = frame
      bad[bit / 8] ^= 1 << UInt8(bit % 8)
      let result = try? Zstandard.decompress(bad, limit: 1000)
      #expect(result == nil || result == bytes, "bit \(bit)")
    }
    for count in 0..<frame.count {
      #expect(throws: CompressionError.corrupt) {
        try Zstandard.decompress(Array(frame[..<count]), limit: 1000)
      }
    }
  }
}
