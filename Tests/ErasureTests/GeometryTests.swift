import Base
import Erasure
import Testing

@Suite struct GeometryTests {
  static let schemeTexts = ["1+0", "2+1", "4+2", "8+3", "3+0", "16+16"]

  static let lengths: [Int] = {
    var result = [0, 1, 15, 63, 64, 65_519, 65_520, 65_521, 131_040, 1_048_319, 1_048_320]
    result += [1_048_321, 262_080, 8 << 20, (8 << 20) + 1, 5 << 30, ByteCount.tebibyte]
    return result + [ExtentGeometry.maximumPlaintextLength]
  }()

  private func geometry(_ scheme: String, _ length: Int) throws -> ExtentGeometry {
    try ExtentGeometry(scheme: ErasureScheme(text: scheme), plaintextLength: length)
  }

  @Test("schemes are read and written")
  func schemeText() throws {
    for text in Self.schemeTexts { #expect(try ErasureScheme(text: text).description == text) }
    for text in [
      "", "4", "4+", "+2", "4+2+1", "0+1", "a+b", "-1+2", "33+0", "30+3", "4 + 2", "004+2",
    ] {
      #expect(throws: FormatError.self, "\(text)") { try ErasureScheme(text: text) }
    }
    #expect(ErasureScheme(data: 0, parity: 1) == nil)
    #expect(ErasureScheme(data: 1, parity: -1) == nil)
    #expect(ErasureScheme(data: .max, parity: .max) == nil)
    #expect(ErasureScheme.standard.writeQuorum == 5)
    #expect(try ErasureScheme(text: "8+3").writeQuorum == 10)
    #expect(try ErasureScheme(text: "1+0").writeQuorum == 1)
  }

  @Test("lengths outside 0 to 5 TiB are refused")
  func bounds() {
    for length in [-1, Int.min, ExtentGeometry.maximumPlaintextLength + 1, Int.max] {
      #expect(throws: FormatError.self) {
        try ExtentGeometry(scheme: .standard, plaintextLength: length)
      }
    }
  }

  @Test("known geometries of 4 + 2")
  func vectors() throws {
    // Plaintext length, segments, stored, full stripes, last block, chunk data.
    let known = [
      (0, 1, 16, 0, 64, 64), (1, 1, 17, 0, 64, 64), (1000, 1, 1016, 0, 256, 256),
      (65_520, 1, 65_536, 0, 16_384, 16_384), (65_521, 2, 65_553, 0, 16_448, 16_448),
      (1_048_320, 16, 1_048_576, 1, 0, 262_144), (1_048_321, 17, 1_048_593, 1, 64, 262_208),
      (8_388_608, 129, 8_390_672, 8, 576, 2_097_728),
    ]
    for (length, segments, stored, full, last, data) in known {
      let geometry = try geometry("4+2", length)
      #expect(geometry.segmentCount == segments)
      #expect(geometry.storedLength == stored)
      #expect(geometry.fullStripeCount == full)
      #expect(geometry.shortBlockLength == last)
      #expect(geometry.chunkDataLength == data)
    }
  }

  @Test("segments and stripes cover every byte once", arguments: schemeTexts)
  func coverage(scheme: String) throws {
    for length in Self.lengths where length <= 9 << 20 {
      let geometry = try geometry(scheme, length)
      var plain = 0
      var stored = 0
      for segment in 0..<geometry.segmentCount {
        #expect(geometry.plaintextRange(ofSegment: segment).lowerBound == plain)
        #expect(geometry.storedRange(ofSegment: segment).lowerBound == stored)
        plain = geometry.plaintextRange(ofSegment: segment).upperBound
        stored = geometry.storedRange(ofSegment: segment).upperBound
      }
      #expect(plain == length && stored == geometry.storedLength)
      var position = 0
      var chunk = 0
      for index in 0..<geometry.stripeCount {
        let stripe = geometry.stripe(index)
        #expect(stripe.storedRange.lowerBound == position && stripe.chunkOffset == chunk)
        #expect(stripe.blockLength.isMultiple(of: 64) && stripe.blockLength > 0)
        #expect(stripe.blockLength * geometry.scheme.data >= stripe.storedRange.count)
        var inBlocks = 0
        for block in 0..<geometry.scheme.data {
          inBlocks += stripe.storedRange(ofBlock: block).count
        }
        #expect(inBlocks == stripe.storedRange.count)
        position = stripe.storedRange.upperBound
        chunk = stripe.chunkRange.upperBound
      }
      #expect(position == geometry.storedLength && chunk == geometry.chunkDataLength)
    }
  }

  @Test("the largest extents do not overflow", arguments: schemeTexts)
  func extremes(scheme: String) throws {
    for length in Self.lengths {
      let geometry = try geometry(scheme, length)
      let last = geometry.stripe(geometry.stripeCount - 1)
      #expect(last.storedRange.upperBound == geometry.storedLength)
      #expect(last.chunkRange.upperBound == geometry.chunkDataLength)
      #expect(
        geometry.chunkDataLength * geometry.scheme.data - geometry.storedLength
          < 64 * geometry.scheme.data + geometry.scheme.data)
    }
  }

  @Test("a range of plaintext lies in its segments, stripes and pieces", arguments: schemeTexts)
  func ranges(scheme: String) throws {
    var state: UInt64 = 99
    for length in [1, 65_521, 1_048_321, 3_000_000, 8 << 20] {
      let geometry = try geometry(scheme, length)
      for _ in 0..<60 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let start = Int(state >> 33) % length
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let end = start + 1 + Int(state >> 33) % (length - start)
        let segments = geometry.segments(ofPlaintext: start..<end)
        #expect(geometry.plaintextRange(ofSegment: segments.lowerBound).contains(start))
        #expect(geometry.plaintextRange(ofSegment: segments.upperBound - 1).contains(end - 1))
        let stored = geometry.storedRange(ofSegments: segments)
        var position = stored.lowerBound
        for stripe in geometry.stripes(ofStored: stored) {
          for piece in geometry.pieces(ofStored: stored, inStripe: stripe) {
            #expect(piece.storedRange.lowerBound == position)
            #expect(piece.storedRange.count == piece.chunkRange.count)
            #expect(piece.chunkRange.upperBound <= geometry.chunkDataLength)
            #expect(piece.block < geometry.scheme.data)
            let row = geometry.stripe(stripe)
            let held = row.storedRange(ofBlock: piece.block)
            #expect(
              piece.chunkRange.lowerBound - row.chunkOffset
                == piece.storedRange.lowerBound - held.lowerBound)
            position = piece.storedRange.upperBound
          }
        }
        #expect(position == stored.upperBound)
      }
      #expect(geometry.segments(ofPlaintext: 0..<0).isEmpty)
      #expect(geometry.stripes(ofStored: 0..<0).isEmpty)
    }
  }
}
