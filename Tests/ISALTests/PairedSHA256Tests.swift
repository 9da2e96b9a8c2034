import Foundation
import Testing

@testable import ISAL

@Suite("SHA-256, two at a time", .enabled(if: PairedSHA256() != nil))
struct PairedSHA256Tests {
  private func digest(_ bytes: [UInt8], pieces: [Int] = []) throws -> [UInt8] {
    var hash = try #require(PairedSHA256())
    var start = 0
    for piece in pieces + [bytes.count] {
      let end = min(start + piece, bytes.count)
      bytes[start..<end].withUnsafeBytes { hash.update($0) }
      start = end
    }
    return hash.finish()
  }

  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
  }

  @Test(
    "gives what FIPS 180-4 gives",
    arguments: [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        String(repeating: "a", count: 1_000_000),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ])
  func vectors(text: String, expected: String) throws {
    #expect(hex(try digest(Array(text.utf8))) == expected)
  }

  @Test("does not mind how the bytes are cut", arguments: [1, 55, 56, 63, 64, 65, 128, 1000])
  func splits(length: Int) throws {
    var random = SplitMix(seed: 0x5a)
    let bytes = random.bytes(length)
    let whole = try digest(bytes)
    for first in 0...length {
      #expect(try digest(bytes, pieces: [first, 7]) == whole, "cut at \(first) of \(length)")
    }
  }

  @Test(
    "two side by side give what each gives alone",
    arguments: [(0, 0), (64, 64), (64, 128), (200, 200), (63, 65), (65_536, 65_536), (4096, 0)])
  func pairs(first: Int, second: Int) throws {
    var random = SplitMix(seed: 0xa5)
    let one = random.bytes(first)
    let two = random.bytes(second)
    var left = try #require(PairedSHA256())
    var right = try #require(PairedSHA256())
    // Three times: the later ones begin inside a block where the lengths are no multiples of it.
    for _ in 0..<3 {
      one.withUnsafeBytes { one in
        two.withUnsafeBytes { two in
          PairedSHA256.update(&left, one, &right, two)
        }
      }
    }
    #expect(left.finish() == (try digest(one + one + one)))
    #expect(right.finish() == (try digest(two + two + two)))
  }
}
