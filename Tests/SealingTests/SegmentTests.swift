import Base
import Crypto
import Sealing
import Testing

@Suite("Segments")
struct SegmentTests {
  private func opener(_ sealer: ExtentSealer) throws -> SegmentOpener {
    try Fixture.ring().opener(for: sealer.extent, wrappedKey: sealer.wrappedKey)
  }

  @Test("sealed segments are frozen")
  func knownAnswers() throws {
    let sealer = Fixture.sealer()
    let first = sealer.segments.seal(Fixture.fullSegment(), isLast: false)
    #expect(first.count == SegmentLayout.storedByteCount)
    #expect(Hex.encode(first.suffix(16)) == "b74a02218633c7e0d9499cfd781af3c6")
    #expect(
      Hex.encode(Digest.hash(.sha256, first))
        == "1f7dce93ad07dedac32b31d1f41a7b0b6c9fb9f90c2f754bd9451daf9ef5de6a")
    let second = sealer.segments.seal(Array("hello".utf8), isLast: true)
    #expect(Hex.encode(second) == "7db3d3902b19c1500d3505c6157961fae43e8ec887")
    let opener = try opener(sealer)
    // In any order.
    #expect(try opener.open(second, index: 1, isLast: true) == Array("hello".utf8))
    #expect(try opener.open(first, index: 0, isLast: false) == Fixture.fullSegment())
  }

  @Test("an empty extent has one empty segment, and inline data is one segment")
  func single() throws {
    let empty = Fixture.sealer()
    let sealed = empty.segments.seal([], isLast: true)
    #expect(Hex.encode(sealed) == "4ede439adc233a62c025fd978c8d5c15")
    #expect(try opener(empty).open(sealed, index: 0, isLast: true) == [])
    let inline = Fixture.sealer().segments.seal(Array("hello".utf8), isLast: true)
    #expect(Hex.encode(inline) == "66d9d9b2da1cd4a3dd51a01b9ef8311db14836d393")
  }

  @Test("sealing and opening in place gives the same bytes")
  func inPlace() throws {
    let expected = Fixture.sealer().segments.seal(Fixture.fullSegment(), isLast: false)
    let sealer = Fixture.sealer()
    var bytes = Fixture.fullSegment() + [UInt8](repeating: 0, count: 16)
    let opener = try opener(sealer)
    try bytes.withUnsafeMutableBytes { bytes in
      let body = UnsafeMutableRawBufferPointer(rebasing: bytes[..<Fixture.fullSegment().count])
      sealer.segments.seal(UnsafeRawBufferPointer(body), into: bytes, isLast: false)
      #expect(Array(bytes) == expected)
      try opener.open(UnsafeRawBufferPointer(bytes), into: body, index: 0, isLast: false)
      #expect(Array(body) == Fixture.fullSegment())
    }
  }

  @Test(
    "what lies in several runs opens as what lies in one, wherever they end",
    arguments: [1, 15, 16, 17, 4093, 65_519, 65_520, 65_527, 65_536])
  func runs(length: Int) throws {
    let sealer = Fixture.sealer()
    let opener = try opener(sealer)
    let full = sealer.segments.seal(Fixture.fullSegment(), isLast: false)
    let short = sealer.segments.seal(Array("hello".utf8), isLast: true)
    for (index, stored, expected) in [
      (UInt64(0), full, Fixture.fullSegment()), (1, short, Array("hello".utf8)),
    ] {
      for changed in [nil, 0, stored.count - 17, stored.count - 16, stored.count - 1] {
        var sealed = stored
        if let changed { sealed[changed] ^= 1 }
        var plaintext = [UInt8](repeating: 0xee, count: expected.count)
        let isOpened = sealed.withUnsafeBytes { sealed in
          plaintext.withUnsafeMutableBytes { plaintext in
            let runs = stride(from: 0, to: sealed.count, by: length).map {
              UnsafeRawBufferPointer(rebasing: sealed[$0..<min($0 + length, sealed.count)])
            }
            return (try? opener.open(runs, into: plaintext, index: index, isLast: index == 1))
              != nil
          }
        }
        #expect(isOpened == (changed == nil), "\(index), \(String(describing: changed))")
        let isRight = plaintext == (isOpened ? expected : expected.map { _ in 0 })
        #expect(isRight, "\(index), \(String(describing: changed))")
      }
    }
  }

  @Test("segments reordered, cut off, extended or swapped between extents do not open")
  func moves() throws {
    let ring = Fixture.ring()
    let sealer = Fixture.sealer()
    let full = Fixture.fullSegment()
    let sealed = [
      sealer.segments.seal(full, isLast: false), sealer.segments.seal(full, isLast: false),
      sealer.segments.seal(full, isLast: true),
    ]
    let opener = try opener(sealer)
    for (index, segment) in sealed.enumerated() {
      #expect(try opener.open(segment, index: UInt64(index), isLast: index == 2) == full)
      for place in 0..<4 where place != index {
        for isLast in [false, true] {
          #expect(throws: SealingError.authenticationFailed) {
            try opener.open(segment, index: UInt64(place), isLast: isLast)
          }
        }
      }
      // The wrong end: a cut-off extent would show an inner segment as its last.
      #expect(throws: SealingError.authenticationFailed) {
        try opener.open(segment, index: UInt64(index), isLast: index != 2)
      }
      #expect(throws: SealingError.authenticationFailed) {
        try opener.open(segment, index: UInt64(index) + 1 << 32, isLast: index == 2)
      }
    }
    // The same key and nonces for another extent id: the additional data differs.
    let twin = ring.sealer(for: Fixture.otherExtent, random: Fixture.counting(from: 0))
    let foreign = twin.segments.seal(full, isLast: false)
    #expect(foreign != sealed[0])
    #expect(throws: SealingError.authenticationFailed) {
      try opener.open(foreign, index: 0, isLast: false)
    }
  }

  @Test("lengths that no such segment has are refused")
  func lengths() throws {
    let sealer = Fixture.sealer()
    let sealed = sealer.segments.seal(Fixture.fullSegment(), isLast: false)
    let opener = try opener(sealer)
    for count in [0, 15, 16, 17, 65_535] {
      for isLast in [false, true] {
        #expect(throws: SealingError.authenticationFailed) {
          try opener.open(Array(sealed[..<count]), index: 0, isLast: isLast)
        }
      }
    }
    #expect(throws: SealingError.authenticationFailed) {
      try opener.open(sealed + [0], index: 0, isLast: true)
    }
    #expect(throws: SealingError.authenticationFailed) {
      try opener.open([UInt8](repeating: 0, count: 16), index: 1, isLast: true)
    }
  }

  @Test("a changed segment leaves no plaintext behind")
  func noPlaintext() throws {
    let sealer = Fixture.sealer()
    var sealed = sealer.segments.seal(Array("secret".utf8), isLast: true)
    sealed[21] ^= 1
    let opener = try opener(sealer)
    var plaintext = [UInt8](repeating: 0xee, count: 6)
    sealed.withUnsafeBytes { sealed in
      plaintext.withUnsafeMutableBytes { plaintext in
        _ = #expect(throws: SealingError.authenticationFailed) {
          try opener.open(sealed, into: plaintext, index: 0, isLast: true)
        }
      }
    }
    #expect(plaintext == [0, 0, 0, 0, 0, 0])
  }

  @Test("the plaintext shows nowhere in what is stored")
  func ciphertextOnly() throws {
    let needle = Array("needle in plaintext".utf8)
    let sealer = Fixture.sealer()
    var descriptor = Fixture.smallDescriptor()
    descriptor.key = needle
    let stored =
      sealer.segments.seal(needle, isLast: true) + sealer.wrappedKey.bytes
      + (try sealer.sealDescriptor(descriptor))
    #expect(!stored.contains(needle))
    #expect((stored + needle).contains(needle))
  }

  @Test("sealers stop at misuse that would repeat a nonce or break the layout")
  func misuse() async {
    await #expect(processExitsWith: .failure) {
      let sealer = Fixture.sealer()
      _ = sealer.segments.seal([1], isLast: true)
      _ = sealer.segments.seal([2], isLast: true)
    }
    await #expect(processExitsWith: .failure) {
      _ = Fixture.sealer().segments.seal([1], isLast: false)
    }
    await #expect(processExitsWith: .failure) {
      _ = Fixture.sealer().segments.seal([UInt8](repeating: 0, count: 65_521), isLast: true)
    }
  }
}

@Suite("Segment layout")
struct SegmentLayoutTests {
  @Test(
    "lengths as stored",
    arguments: [
      (0, 1, 16), (1, 1, 17), (65_519, 1, 65_535), (65_520, 1, 65_536), (65_521, 2, 65_553),
      (131_040, 2, 131_072), (1_048_320, 16, 1_048_576),
    ])
  func lengths(_ plaintext: Int, _ count: Int, _ stored: Int) {
    #expect(SegmentLayout.count(plaintext: plaintext) == count)
    #expect(SegmentLayout.storedByteCount(plaintext: plaintext) == stored)
    #expect(SegmentLayout.plaintextByteCount(stored: stored) == plaintext)
  }

  @Test("every stored length that exists maps back, and no other")
  func inverse() {
    var lengths: Set<Int> = []
    for plaintext in 0...200_000 {
      let stored = SegmentLayout.storedByteCount(plaintext: plaintext)
      lengths.insert(stored)
      if SegmentLayout.plaintextByteCount(stored: stored) != plaintext {
        Issue.record("\(plaintext)")
      }
    }
    for stored in 0...200_000 where !lengths.contains(stored) {
      if SegmentLayout.plaintextByteCount(stored: stored) != nil { Issue.record("\(stored)") }
    }
    for stored in [Int.min, -1, Int.max] {
      #expect(SegmentLayout.plaintextByteCount(stored: stored) == nil)
    }
  }

  @Test("the segments that a range of plaintext touches")
  func ranges() {
    #expect(SegmentLayout.segments(covering: 0..<1) == 0..<1)
    #expect(SegmentLayout.segments(covering: 65_519..<65_520) == 0..<1)
    #expect(SegmentLayout.segments(covering: 65_519..<65_521) == 0..<2)
    #expect(SegmentLayout.segments(covering: 65_520..<131_040) == 1..<2)
    #expect(SegmentLayout.segments(covering: 0..<131_041) == 0..<3)
  }
}
