import Crypto
import Erasure
import ISAL
import Runtime

/// Digests, encryption and coding on one core, from memory that is in the cache.
enum ProcessorFloors {
  private static let piece = 1 << 20

  static func measure(byteCount: Int) throws -> [Floor] {
    let buffer = AlignedBuffer(count: piece)
    unsafe buffer.withMutableBytes(0..<piece) { bytes in
      for index in bytes.indices { unsafe bytes[index] = UInt8(truncatingIfNeeded: index &* 31) }
    }
    let rounds = byteCount / piece
    var floors: [Floor] = []
    let digests: [(String, DigestAlgorithm)] = [
      ("md5", .md5), ("sha1", .sha1), ("sha256", .sha256),
    ]
    for (name, algorithm) in digests {
      let digest = Digest(algorithm)
      floors.append(
        Floor.measure(name, byteCount: byteCount) {
          for _ in 0..<rounds {
            unsafe buffer.withBytes(0..<piece) { unsafe digest.update($0) }
          }
          _ = digest.finish()
        })
    }
    floors.append(unsafe checksum("crc32c", buffer, rounds) { unsafe UInt64(CRC32C.crc($0)) })
    floors.append(unsafe checksum("crc64nvme", buffer, rounds) { unsafe CRC64NVME.crc($0) })
    floors.append(encryption(buffer, rounds))
    floors.append(try coding(buffer, rounds))
    return floors
  }

  private static func checksum(
    _ name: String, _ buffer: AlignedBuffer, _ rounds: Int,
    _ checksum: (UnsafeRawBufferPointer) -> UInt64
  ) -> Floor {
    var sum: UInt64 = 0
    let floor = Floor.measure(name, byteCount: rounds * piece) {
      for _ in 0..<rounds {
        sum ^= unsafe buffer.withBytes(0..<piece) { unsafe checksum($0) }
      }
    }
    withExtendedLifetime(sum) {}
    return floor
  }

  /// In segments of the size that is stored.
  private static func encryption(_ buffer: AlignedBuffer, _ rounds: Int) -> Floor {
    let cipher = AESGCM(key: [UInt8](repeating: 7, count: AESGCM.keyByteCount))
    let plain = ExtentGeometry.segmentPlaintextLength
    let perPiece = piece / ExtentGeometry.segmentStoredLength
    let target = AlignedBuffer(count: piece)
    return Floor.measure("aes_256_gcm", byteCount: rounds * perPiece * plain) {
      for round in 0..<rounds {
        for segment in 0..<perPiece {
          let start = segment * ExtentGeometry.segmentStoredLength
          unsafe buffer.withBytes(start..<start + plain) { source in
            unsafe target.withMutableBytes(start..<start + plain + AESGCM.tagByteCount) { sealed in
              unsafe cipher.seal(
                source, into: UnsafeMutableRawBufferPointer(rebasing: sealed[..<plain]),
                tag: UnsafeMutableRawBufferPointer(rebasing: sealed[plain...]),
                nonce: AESGCMNonce(counter: UInt64(round * perPiece + segment)))
            }
          }
        }
      }
    }
  }

  /// Whole stripes of 4 + 2.
  private static func coding(_ buffer: AlignedBuffer, _ rounds: Int) throws -> Floor {
    let coder = StripeCoder(scheme: .standard)
    let block = ExtentGeometry.fullBlockLength
    let parity = AlignedBuffer(count: 2 * block)
    return try Floor.measure("reed_solomon_4_2", byteCount: rounds * piece) {
      () throws(ErasureError) in
      for _ in 0..<rounds {
        try unsafe buffer.withBytes(0..<4 * block) { data throws(ErasureError) in
          try unsafe parity.withMutableBytes(0..<2 * block) { target throws(ErasureError) in
            try unsafe coder.encode(
              data: data, parity: target, blockLength: block, stride: block)
          }
        }
      }
    }
  }
}
