import Base
import Sealing
import Testing

@Suite("Master key")
struct MasterKeyTests {
  private static let text =
    "s3storage-master-key-1\nICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj90dgx6\n"

  @Test("its text and its check value are frozen")
  func knownAnswers() throws {
    let master = try Fixture.master()
    #expect(master.text == Self.text)
    #expect(
      Hex.encode(master.checkValue(cluster: Fixture.cluster)) == "f7ae319b743b01dc19420bd0208a2d67")
  }

  @Test(
    "its text is read back, however an editor left it",
    arguments: [
      text, String(text.dropLast()), text.replacing("\n", with: "\r\n"), "\n \(text)\n\t\n",
      text.replacing("\n", with: "  \n"),
    ])
  func roundTrip(_ text: String) throws {
    #expect(try MasterKey(text: text).text == Self.text)
  }

  @Test("a new key is the bytes of the random source")
  func generated() {
    #expect(MasterKey(random: Fixture.counting(from: 0x20)).text == Self.text)
  }

  @Test(
    "a wrong text is refused with a reason and without a quotation",
    arguments: [
      ("", "first line"),
      ("s3storage-master-key-2\nICEi\n", "first line"),
      ("s3storage-master-key-1\n", "two lines"),
      (text + "more\n", "two lines"),
      ("s3storage-master-key-1\nICEiIyQ\n", "Base64"),
      ("s3storage-master-key-1\nICEiIyQl\n", "6 bytes"),
      (text.replacing("ICEi", with: "ICEj"), "mistyped"),
      (text.replacing("gx6", with: "gx7"), "mistyped"),
      (String(repeating: "x", count: 5000), "too long"),
    ])
  func refusals(_ text: String, _ reason: String) {
    let error = #expect(throws: FormatError.self) { try MasterKey(text: text) }
    #expect(error?.message.contains(reason) == true)
    #expect(error?.message.contains("ICE") == false)
  }

  @Test("a key has 32 bytes")
  func length() {
    for count in [0, 31, 33] {
      #expect(MasterKey([UInt8](repeating: 1, count: count)) == nil)
      #expect(CustomerKey([UInt8](repeating: 1, count: count)) == nil)
    }
  }

  @Test("keys do not print themselves, nor what holds them")
  func printing() throws {
    let master = try Fixture.master()
    let customer = try Fixture.customer()
    for secret in ["32, 33, 34", "192, 193", "64, 65, 66", "20212223", "ICEi"] {
      #expect(!"\(master) \(customer)".contains(secret))
      #expect(!String(reflecting: master).contains(secret))
      #expect(!String(describing: Fixture.ring()).contains(secret))
      #expect(!String(reflecting: Fixture.ring()).contains(secret))
    }
    var dumped = ""
    dump(Fixture.ring(), to: &dumped)
    dump(master, to: &dumped)
    #expect(!dumped.contains("- 65\n"))
    #expect(!dumped.contains("- 33\n"))
  }
}
