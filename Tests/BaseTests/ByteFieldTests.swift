import Base
import Testing

@Suite("Fields in bytes")
struct ByteFieldTests {
  @Test("what was written comes back in order")
  func roundTrip() throws {
    var writer = ByteWriter()
    writer.write(UInt32(0x0102_0304))
    writer.write(Int64(-5))
    for value in [0, 127, 128, 16_383, 16_384, Int.max] { writer.writeVarint(value) }
    writer.writeString("grün")
    writer.pad(to: 64)
    #expect(writer.count == 64)
    #expect(Array(writer.bytes[..<4]) == [4, 3, 2, 1])
    var reader = ByteReader(writer.bytes)
    #expect(try reader.readInteger(UInt32.self) == 0x0102_0304)
    #expect(try reader.readInteger(Int64.self) == -5)
    for value in [0, 127, 128, 16_383, 16_384, Int.max] {
      #expect(try reader.readVarint() == value)
    }
    #expect(try reader.readString(limit: 16) == "grün")
    #expect(throws: FormatError.self) { try reader.expectEnd() }
  }

  @Test("no bytes make a reader trap: each prefix of a record ends in an error")
  func truncation() {
    var writer = ByteWriter()
    writer.write(UInt64(7))
    writer.writeSized([1, 2, 3])
    for count in 0..<writer.count {
      var reader = ByteReader(Array(writer.bytes.prefix(count)))
      #expect(throws: FormatError.self) {
        _ = try reader.readInteger(UInt64.self)
        _ = try reader.readSized(limit: 8)
      }
    }
  }

  @Test("numbers that are too long and fields over their limit are refused")
  func bounds() {
    var long = ByteReader([UInt8](repeating: 0xff, count: 10))
    #expect(throws: FormatError.self) { try long.readVarint() }
    var field = ByteReader([5, 1, 2, 3, 4, 5])
    #expect(throws: FormatError.self) { try field.readSized(limit: 4) }
    var text = ByteReader([2, 0xc3, 0x28])
    #expect(throws: FormatError.self) { try text.readString(limit: 8) }
    var negative = ByteReader([1])
    #expect(throws: FormatError.self) { try negative.read(-1) }
  }

  @Test("identifiers keep their bytes and order")
  func identifiers() throws {
    let id = try #require(ExtentID(hex: "0102030405060708090a0b0c0d0e0f10"))
    #expect(id.bytes == Array(1...16))
    #expect(id.description == "0102030405060708090a0b0c0d0e0f10")
    #expect(id.epoch == 0x0102_0304_0506)
    #expect(ExtentID(epoch: 0x0102_0304_0506, random: (0x0708, id.low)) == id)
    #expect(ExtentID(bytes: [1, 2]) == nil)
    #expect(ExtentID(hex: "xx") == nil)
    #expect(ExtentID(high: 1, low: 2) < ExtentID(high: 2, low: 1))
  }

  @Test("a digest has 32 bytes")
  func digest() throws {
    let digest = try #require(SHA256Digest(Array(0..<32)))
    #expect(digest.bytes == Array(0..<32))
    #expect(digest != SHA256Digest(Array(1...32)))
    #expect(SHA256Digest([1]) == nil)
  }
}
