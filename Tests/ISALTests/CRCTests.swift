import Base
import Runtime
import Testing

@testable import ISAL

/// A bit-by-bit CRC, as the definition has it.
private func naive<Word: FixedWidthInteger & UnsignedInteger>(
  _ bytes: some Sequence<UInt8>, _ reflected: Word
) -> Word {
  var state = Word.max
  for byte in bytes {
    state ^= Word(byte)
    for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ reflected : state >> 1 }
  }
  return ~state
}

@Suite("Cyclic redundancy checks")
struct CRCTests {
  @Test("the check values of the CRC catalogue come out")
  func checkValues() {
    let check = Array("123456789".utf8)
    #expect(CRC32.crc(check) == 0xcbf4_3926)
    #expect(CRC32C.crc(check) == 0xe306_9283)
    #expect(CRC64NVME.crc(check) == 0xae8b_1486_0a79_9888)
    // RFC 3720 appendix B.4 and the NVM Express command set specification, §5.2.1.3.5.
    #expect(CRC32C.crc([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(CRC32C.crc([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(CRC64NVME.crc([UInt8](repeating: 0, count: 4096)) == 0x6482_d367_eb22_b64e)
    #expect(CRC64NVME.crc([UInt8](repeating: 0xff, count: 4096)) == 0xc0dd_ba73_02ec_a3ac)
  }

  @Test("nothing leaves a checksum as it is")
  func nothing() {
    #expect(CRC32.crc([]) == 0)
    #expect(CRC32C.crc([]) == 0)
    #expect(CRC64NVME.crc([]) == 0)
    #expect(CRC32.crc([], after: 0x1234_5678) == 0x1234_5678)
    #expect(CRC32C.crc([], after: 0x1234_5678) == 0x1234_5678)
    #expect(CRC64NVME.crc([], after: 0x1234_5678) == 0x1234_5678)
  }

  @Test("every length to 1100 bytes, at odd addresses, agrees with the definition")
  func lengths() {
    var random = SeededRandom(seed: 1)
    let bytes = random.bytes(1200)
    for count in 0...1100 {
      let start = Int.random(in: 0..<64, using: &random)
      let run = bytes[start..<start + count]
      bytes.withUnsafeBytes { all in
        let raw = UnsafeRawBufferPointer(rebasing: all[start..<start + count])
        #expect(CRC32.crc(raw) == naive(run, UInt32(0xedb8_8320)))
        #expect(CRC32C.crc(raw) == naive(run, UInt32(0x82f6_3b78)))
        #expect(CRC64NVME.crc(raw) == naive(run, UInt64(0x9a6c_9329_ac4b_c9b5)))
      }
    }
  }

  @Test("pieces of any size and combined halves give the checksum of the whole", arguments: 0..<40)
  func pieces(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let bytes = random.bytes(Int.random(in: 1...20_000, using: &random))
    let (whole32, whole32C, whole64) = (CRC32.crc(bytes), CRC32C.crc(bytes), CRC64NVME.crc(bytes))
    #expect(whole32 == naive(bytes, UInt32(0xedb8_8320)))
    #expect(whole32C == naive(bytes, UInt32(0x82f6_3b78)))
    #expect(whole64 == naive(bytes, UInt64(0x9a6c_9329_ac4b_c9b5)))

    var (crc32, crc32C, crc64) = (UInt32(0), UInt32(0), UInt64(0))
    var offset = 0
    while offset < bytes.count {
      let count = Int.random(in: 0...min(2000, bytes.count - offset), using: &random)
      let piece = Array(bytes[offset..<offset + count])
      crc32 = CRC32.crc(piece, after: crc32)
      crc32C = CRC32C.crc(piece, after: crc32C)
      let before = crc64
      crc64 = CRC64NVME.crc(piece, after: before)
      #expect(CRC64NVME.crcByOtherKernels(piece, after: before) == [crc64, crc64])
      offset += count
    }
    #expect(crc32 == whole32)
    #expect(crc32C == whole32C)
    #expect(crc64 == whole64)

    let cut = Int.random(in: 0...bytes.count, using: &random)
    let (head, tail) = (Array(bytes[..<cut]), Array(bytes[cut...]))
    #expect(
      CRC32.combine(CRC32.crc(head), CRC32.crc(tail), secondCount: tail.count) == whole32)
    #expect(
      CRC32C.combine(CRC32C.crc(head), CRC32C.crc(tail), secondCount: tail.count) == whole32C)
    #expect(
      CRC64NVME.combine(CRC64NVME.crc(head), CRC64NVME.crc(tail), secondCount: tail.count)
        == whole64)
  }

  @Test("lengths of terabytes combine in parts as they do at once")
  func longCombine() {
    let (first, second) = (UInt64(0x0123_4567_89ab_cdef), 5 << 40)
    let half = CRC64NVME.combine(first, 0, secondCount: second / 2)
    #expect(
      CRC64NVME.combine(half, 0, secondCount: second / 2)
        == CRC64NVME.combine(first, 0, secondCount: second))
    #expect(CRC32.combine(7, 9, secondCount: 0) == 7 ^ 9)
  }
}
