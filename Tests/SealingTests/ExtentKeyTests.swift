import Base
import Sealing
import Testing

@Suite("Extent keys")
struct ExtentKeyTests {
  private static let wrapped =
    "0101000000c9fb7cc4e6c3b5a3aa954c5113b2ccce21e8687b6608c855a8704802293b02ba80fca93b5cb730af"
    + "d1a2a5d3bd5c6691"
  private static let wrappedByCustomer =
    "020100000065126a8c5dd73ce7895090408274009aa8146e4e5eee9fb0837dcccc339cf557d4f36a9f4a726780"
    + "c29ee433807bc846"

  @Test("wrapped extent keys are frozen")
  func knownAnswers() throws {
    let record = Fixture.sealer().wrappedKey.bytes
    #expect(Hex.encode(record) == Self.wrapped)
    #expect(record.count == WrappedExtentKey.byteCount)
    let sealer = Fixture.sealer(customerKey: try Fixture.customer())
    #expect(Hex.encode(sealer.wrappedKey.bytes) == Self.wrappedByCustomer)
  }

  @Test("a record is read back, and one of a wrong shape refused")
  func shapes() throws {
    let record = Fixture.sealer().wrappedKey
    #expect(try WrappedExtentKey(record.bytes) == record)
    #expect(try WrappedExtentKey(([0] + record.bytes)[1...]) == record)
    for count in [0, 1, 52] {
      #expect(throws: FormatError.self) { try WrappedExtentKey(record.bytes.prefix(count)) }
    }
    #expect(throws: FormatError.self) { try WrappedExtentKey(record.bytes + [0]) }
    #expect(throws: FormatError.self) { try WrappedExtentKey([3] + record.bytes.dropFirst()) }
    #expect(throws: FormatError.self) {
      try WrappedExtentKey([1, 0, 0, 0, 0] + record.bytes.dropFirst(5))
    }
  }

  @Test("every flipped bit of a record is noticed, with a cluster's and a customer's key")
  func flips() throws {
    let ring = Fixture.ring()
    for customer in [nil, try Fixture.customer()] {
      let bytes = Fixture.sealer(customerKey: customer).wrappedKey.bytes
      let record = try WrappedExtentKey(bytes)
      _ = try ring.opener(for: Fixture.extent, wrappedKey: record, customerKey: customer)
      for bit in 0..<bytes.count * 8 {
        var bad = bytes
        bad[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(throws: (any Error).self, "bit \(bit)") {
          try ring.opener(
            for: Fixture.extent, wrappedKey: try WrappedExtentKey(bad), customerKey: customer)
        }
      }
    }
  }

  @Test("a record names its own key-encryption key, also where a customer's key wraps it")
  func otherNumber() throws {
    var ring = Fixture.ring()
    ring.addKey(random: Fixture.counting(from: 0x90))
    for customer in [nil, try Fixture.customer()] {
      var bytes = Fixture.sealer(customerKey: customer).wrappedKey.bytes
      bytes[1] = 2
      #expect(throws: SealingError.authenticationFailed) {
        try ring.opener(
          for: Fixture.extent, wrappedKey: try WrappedExtentKey(bytes), customerKey: customer)
      }
    }
  }

  @Test("a record opens for its own extent only")
  func otherExtent() {
    let record = Fixture.sealer().wrappedKey
    #expect(throws: SealingError.authenticationFailed) {
      try Fixture.ring().opener(for: Fixture.otherExtent, wrappedKey: record)
    }
  }

  @Test("a customer's extent opens with that customer's key only")
  func customers() throws {
    let customer = try Fixture.customer()
    let other = try #require(CustomerKey([UInt8](repeating: 1, count: 32)))
    let ring = Fixture.ring()
    let sealer = Fixture.sealer(customerKey: customer)
    let sealed = sealer.segments.seal([1, 2, 3], isLast: true)
    let opener = try ring.opener(
      for: Fixture.extent, wrappedKey: sealer.wrappedKey, customerKey: customer)
    #expect(try opener.open(sealed, index: 0, isLast: true) == [1, 2, 3])
    #expect(throws: SealingError.customerKeyRequired) {
      try ring.opener(for: Fixture.extent, wrappedKey: sealer.wrappedKey)
    }
    #expect(throws: SealingError.authenticationFailed) {
      try ring.opener(for: Fixture.extent, wrappedKey: sealer.wrappedKey, customerKey: other)
    }
    #expect(throws: SealingError.customerKeyNotExpected) {
      try ring.opener(
        for: Fixture.extent, wrappedKey: Fixture.sealer().wrappedKey, customerKey: customer)
    }
  }

  @Test("two attempts to write have different keys, and neither reads the other's bytes")
  func attempts() throws {
    let ring = Fixture.ring()
    let first = ring.sealer(for: Fixture.extent, random: Fixture.counting(from: 0))
    let second = ring.sealer(for: Fixture.otherExtent, random: Fixture.counting(from: 0))
    #expect(first.wrappedKey != second.wrappedKey)
    let (one, two) = (
      first.segments.seal([7], isLast: true), second.segments.seal([7], isLast: true)
    )
    #expect(one != two)
    let opener = try ring.opener(for: second.extent, wrappedKey: second.wrappedKey)
    #expect(throws: SealingError.authenticationFailed) {
      try opener.open(one, index: 0, isLast: true)
    }
    #expect(try opener.open(two, index: 0, isLast: true) == [7])
  }
}
