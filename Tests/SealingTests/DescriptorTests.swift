import Base
import Runtime
import Testing

@testable import Sealing

@Suite("Extent descriptor")
struct DescriptorTests {
  private static let encoded =
    "010101020202ac02030670686f746f730406612fff6b657905027631060275700701070801010901020a03f0a2"
    + "040b087ba8da769b0100000c03f5ff030d20356434313430326162633462326137366239373139643931313031"
    + "37633539320e0b5354414e444152445f49410f180c636f6e74656e742d747970650a746578742f706c61696e0f"
    + "170d63616368652d636f6e74726f6c086e6f2d73746f7265100c046e616d650677657274c3a9110b0300080001"
    + "0203040506071123050220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f1220"
    + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f130301e807"
  private static let sealed =
    "5869cc55206de9ad0d611142d0d1dccd2d6ea1236167ee56f6e4cf80de3fd347eac504635ee3cfd2f21545f283"
    + "c30bfc70ec2afd999ba52b5ebb795802d573f9ad2f6c8e582d41086fdc9fe3795b696c4b6ae17f23d1d0760984"
    + "58a32ff8a8e31ef1e7de10991e4ad0990eeaae7586a15551dead8f8387a82a2f015cbfe9c77ac305c876cb53c1"
    + "9919e0dda6065da410897d0b7b074c88853382066bbf29bc989c23b90a74b3852dd594e23451ed737c1482659b"
    + "2fb0fabb3a4bc03f7afb6f5db3cb53a647c7446f23116f338504b8fe7cccbbe0d0d5b406e047aed3e56e46e5ea"
    + "3fa92ea2c0d9b3693ccda0dbe3a25ae16453eadbe99ec6127078565a81e58a093ca1a77fe12054cc97a6b90307"
    + "64047bf2be6d506234112d291babdc2f7b03d63e172d28b2a6d383b52a7c0ba72a4e65702519ae9401aaba6de4"
    + "337bb1decfd7b324c39d946bbea923a1d7a446b064"
  private static let small =
    "01010101020100030004016b0801000901000a01000b08ffffffffffffffff0c0100"

  private func open(_ bytes: [UInt8], extent: ExtentID = Fixture.extent) throws -> ExtentDescriptor
  {
    try Fixture.ring().openDescriptor(
      bytes, of: extent, wrappedKey: Fixture.sealer().wrappedKey)
  }

  /// Adds the zeros that end a descriptor.
  private func padded(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: (64 - bytes.count % 64) % 64)
  }

  @Test("the bytes of a descriptor are frozen, plain and sealed")
  func knownAnswers() throws {
    let value = Fixture.descriptor()
    let plain = try value.encoded()
    #expect(plain == padded(try #require(Hex.decode(Self.encoded))))
    #expect(plain.count == 320)
    #expect(try ExtentDescriptor(decoding: plain) == value)
    let sealed = try Fixture.sealer().sealDescriptor(value)
    #expect(Hex.encode(sealed) == Self.sealed)
    #expect(try open(sealed) == value)
    let small = try Fixture.smallDescriptor().encoded()
    #expect(small == padded(try #require(Hex.decode(Self.small))))
    #expect(try ExtentDescriptor(decoding: small) == Fixture.smallDescriptor())
  }

  @Test("every flipped bit of a sealed descriptor is noticed, and every missing end")
  func flips() throws {
    let sealed = try Fixture.sealer().sealDescriptor(Fixture.smallDescriptor())
    #expect(try open(sealed) == Fixture.smallDescriptor())
    for bit in 0..<sealed.count * 8 {
      var bad = sealed
      bad[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: SealingError.authenticationFailed) { try open(bad) }
    }
    for count in 0..<sealed.count {
      #expect(throws: SealingError.authenticationFailed) { try open(Array(sealed[..<count])) }
    }
    #expect(throws: SealingError.authenticationFailed) {
      try open(sealed, extent: Fixture.otherExtent)
    }
    #expect(throws: SealingError.self) { try open([UInt8](repeating: 0, count: 1 << 20)) }
  }

  @Test("the cluster reads the descriptor of a customer's extent without that key")
  func customers() throws {
    let sealer = Fixture.sealer(customerKey: try Fixture.customer())
    let sealed = try sealer.sealDescriptor(Fixture.descriptor())
    let opened = try Fixture.ring().openDescriptor(
      sealed, of: Fixture.extent, wrappedKey: sealer.wrappedKey)
    #expect(opened == Fixture.descriptor())
  }

  @Test("an extent has one descriptor: the same again gives the same bytes, another is refused")
  func once() throws {
    let sealer = Fixture.sealer()
    let sealed = try sealer.sealDescriptor(Fixture.descriptor())
    #expect(try sealer.sealDescriptor(Fixture.descriptor()) == sealed)
    #expect(throws: FormatError.self) { try sealer.sealDescriptor(Fixture.smallDescriptor()) }
  }

  @Test("fields of a later release are skipped")
  func unknownFields() throws {
    var bytes = try #require(Hex.decode(Self.small))
    bytes += [0xe7, 0x07, 3, 1, 2, 3]
    #expect(try ExtentDescriptor(decoding: padded(bytes)) == Fixture.smallDescriptor())
    #expect(try ExtentDescriptor(decoding: bytes) == Fixture.smallDescriptor())
  }

  @Test(
    "wrong bytes are refused",
    arguments: [
      "", "00", "02", "01", "0100", small + "0001", small + "010101", small + "13020205",
      small + "1303020500", small + "120100", small + "0f0261", small + "11", small + "0501ff",
      small + "070181", small + "ffffffffffffffffff7f00",
      "01010106" + small.dropFirst(8), "01" + small.dropFirst(8),
    ])
  func refusals(_ hex: String) throws {
    let bytes = try #require(Hex.decode(hex))
    #expect(throws: FormatError.self) { try ExtentDescriptor(decoding: bytes) }
  }

  @Test("fields beyond their limits are not written")
  func limits() throws {
    let text = { String(repeating: "x", count: $0) }
    let changes: [(inout ExtentDescriptor) -> Void] = [
      { $0.key = [UInt8](repeating: 1, count: 4097) },
      { $0.bucketName = text(256) },
      { $0.versionID = text(257) },
      { $0.uploadID = text(257) },
      { $0.etag = text(257) },
      { $0.storageClass = text(65) },
      { $0.bucketID = -1 },
      { $0.partNumber = -1 },
      { $0.byteCount = -1 },
      { $0.transform = .zstandard(originalByteCount: -1) },
      { $0.headers = [.init(name: text(1025), value: "")] },
      { $0.headers = [.init(name: "", value: text(16_385))] },
      { $0.userMetadata = Array(repeating: .init(name: "a", value: "b"), count: 513) },
      { $0.userMetadata = Array(repeating: .init(name: "a", value: text(16_000)), count: 3) },
      { $0.checksums = Array(repeating: .init(algorithm: 1, value: []), count: 17) },
      { $0.checksums = [.init(algorithm: 1, value: [UInt8](repeating: 0, count: 65))] },
    ]
    for change in changes {
      var value = Fixture.smallDescriptor()
      change(&value)
      #expect(throws: FormatError.self) { try value.encoded() }
    }
    var largest = Fixture.smallDescriptor()
    largest.key = [UInt8](repeating: 1, count: 4096)
    largest.headers = [.init(name: text(1024), value: text(16_384))]
    #expect(try ExtentDescriptor(decoding: largest.encoded()) == largest)
  }

  @Test(
    "changed, cut and random bytes decode or throw, and what decodes is stable", arguments: 0..<20)
  func fuzz(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let whole = try Fixture.descriptor().encoded()
    var decoded = 0
    for _ in 0..<500 {
      var bytes = whole
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        bytes = (0..<Int.random(in: 0..<200, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
        if !bytes.isEmpty { bytes[0] = 1 }
      case 1:
        bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
      case 2:
        bytes.remove(at: Int.random(in: 0..<bytes.count, using: &random))
      default:
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          bytes[Int.random(in: 0..<bytes.count, using: &random)] =
            UInt8.random(in: 0...255, using: &random)
        }
      }
      guard let value = try? ExtentDescriptor(decoding: bytes) else { continue }
      decoded += 1
      #expect(try ExtentDescriptor(decoding: value.encoded()) == value, "seed \(seed)")
    }
    #expect(decoded < 500, "seed \(seed)")
  }
}
