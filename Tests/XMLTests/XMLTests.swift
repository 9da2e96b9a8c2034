import Base
import Runtime
import Testing
import XML

private let limits = XMLLimits(bytes: 1 << 20)

private func parse(_ text: String, _ limits: XMLLimits = limits) throws(XMLError) -> XMLElement {
  try XMLReader.parse(Array(text.utf8), limits: limits)
}

@Suite("Reading XML")
struct XMLReaderTests {
  @Test("names, text and nesting are kept, namespaces and attributes are not")
  func tree() throws {
    let root = try parse(
      """
      <?xml version="1.0" encoding="UTF-8"?>
      <s:Delete xmlns:s="http://s3.amazonaws.com/doc/2006-03-01/" a="b">
        <Object><Key>a &amp; b&#x1F600;<![CDATA[<x>]]></Key></Object><Object/>
      </s:Delete>
      """)
    #expect(root.name == "Delete")
    #expect(root.children.map(\.name) == ["Object", "Object"])
    #expect(root.all("Object").count == 2)
    #expect(root.first("Object")?.first("Key")?.text == "a & b😀<x>")
    #expect(root.trimmedText.isEmpty)
  }

  @Test("a document type is refused whatever it declares")
  func documentTypeClass23() {
    let bodies = [
      "<!DOCTYPE a><a/>",
      "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
      "<!DOCTYPE a SYSTEM \"http://169.254.169.254/\"><a/>",
      "<!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>",
    ]
    for body in bodies {
      #expect(throws: XMLError.documentType) { try parse(body) }
    }
  }

  @Test("an entity that is not XML's own is malformed")
  func unknownEntity() {
    #expect(throws: XMLError.malformed(line: 1, column: 4)) { try parse("<a>&x;</a>") }
  }

  @Test("depth, count, text, attributes and size are bounded")
  func boundsClass23() throws {
    let deep = String(repeating: "<a>", count: 10_000) + String(repeating: "</a>", count: 10_000)
    #expect(throws: XMLError.tooDeep) { try parse(deep) }
    let small = XMLLimits(bytes: 200, depth: 3, elements: 4, textBytes: 5, attributes: 2)
    #expect(throws: Never.self) { try parse("<a><b><c>12345</c></b><d/></a>", small) }
    #expect(throws: XMLError.tooDeep) { try parse("<a><b><c><d/></c></b></a>", small) }
    #expect(throws: XMLError.tooManyElements) { try parse("<a><b/><b/><b/><b/></a>", small) }
    #expect(throws: XMLError.textTooLong) { try parse("<a>123&#52;<b/>56</a>", small) }
    #expect(throws: XMLError.tooManyAttributes) { try parse("<a b='' c=''><d e=''/></a>", small) }
    let long = "<a>" + String(repeating: " ", count: 200) + "</a>"
    #expect(throws: XMLError.tooLarge) { try parse(long, small) }
  }

  @Test("a five megabyte attribute costs no more than its bytes and is refused by size")
  func hugeAttribute() {
    let body = "<a b='" + String(repeating: "x", count: 5 << 20) + "'/>"
    #expect(throws: XMLError.tooLarge) { try parse(body) }
  }

  @Test("other encodings and invalid UTF-8 are refused")
  func encodings() {
    #expect(throws: XMLError.encoding) {
      try parse("<?xml version='1.0' encoding='ISO-8859-1'?><a/>")
    }
    let utf16: [UInt8] = [0xff, 0xfe, 0x3c, 0, 0x61, 0, 0x2f, 0, 0x3e, 0]
    #expect(throws: XMLError.self) { try XMLReader.parse(utf16, limits: limits) }
    let overlong: [UInt8] = Array("<a>".utf8) + [0xc0, 0xaf] + Array("</a>".utf8)
    #expect(throws: XMLError.self) { try XMLReader.parse(overlong, limits: limits) }
  }

  @Test(
    "what is not one whole document is malformed",
    arguments: ["", " ", "<a>", "<a></b>", "<a/><b/>", "text", "<a>\u{1}</a>", "<a", "<a/>x"])
  func malformed(text: String) {
    #expect(throws: XMLError.self) { try parse(text) }
  }

  @Test("any bytes give a tree or an error", arguments: 0..<8)
  func fuzz(seed: UInt64) {
    print("XML fuzz seed \(seed)")
    var random = SeededRandom(seed: seed)
    let base = Array(
      "<?xml version=\"1.0\"?><D xmlns='x'><O><K>a&amp;&#x41;<![CDATA[z]]></K></O><!--c--></D>".utf8
    )
    for _ in 0..<500 {
      var bytes = base
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: index)
        default: bytes.insert(contentsOf: bytes[index...].prefix(9), at: index)
        }
      }
      if let root = try? XMLReader.parse(bytes, limits: limits) { #expect(!root.name.isEmpty) }
    }
  }
}

@Suite("Writing XML")
struct XMLWriterTests {
  @Test("elements, numbers, flags and escaping")
  func document() {
    var writer = XMLWriter()
    writer.open("R", namespace: "http://s3.amazonaws.com/doc/2006-03-01/")
    writer.element("T", "<a & 'b'> \"c\"")
    writer.element("N", Int.min)
    writer.element("M", 1000)
    writer.element("Z", 0)
    writer.element("B", true)
    writer.element("K", bytes: [0x0d, 0x0a, 0x09, 0x01, 0x1f, 0x7f, 0xc3, 0xa9])
    writer.element("O", nil)
    writer.empty("E")
    writer.close("R")
    #expect(
      String(decoding: writer.bytes, as: UTF8.self)
        == "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        + "<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        + "<T>&lt;a &amp; &#39;b&#39;&gt; &quot;c&quot;</T><N>-9223372036854775808</N>"
        + "<M>1000</M><Z>0</Z><B>true</B>"
        + "<K>&#xD;&#xA;&#x9;&#x1;&#x1F;&#x7F;é</K><E/></R>")
  }

  @Test("whatever text XML can carry is read back as it was", arguments: 0..<4)
  func roundTrip(seed: UInt64) throws {
    print("XML round trip seed \(seed)")
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      var text = ""
      for _ in 0..<Int.random(in: 0...40, using: &random) {
        let scalar =
          [0x09, 0x0a, 0x0d, 0x26, 0x3c, 0x3e, 0x22, 0x27, 0x41, 0xe9, 0x1f600, 0x5d].randomElement(
            using: &random) ?? 0x41
        text.unicodeScalars.append(Unicode.Scalar(UInt32(scalar)) ?? "A")
      }
      var writer = XMLWriter()
      writer.element("a", text)
      #expect(try XMLReader.parse(writer.bytes, limits: limits).textBytes == Array(text.utf8))
    }
  }
}
