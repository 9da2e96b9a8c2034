import Base
import Runtime
import Testing

@testable import FilesAPI

/// Reads forms that arrive in pieces.
struct FormReaderTests {
  struct Parsed: Hashable {
    var part: FormPart
    var content: [UInt8]
  }

  /// Reads a whole form whose bytes arrive in pieces as long as `piece` says.
  static func parse(
    _ bytes: [UInt8], boundary: String = Form.boundary, chunk: Int = 4096,
    piece: @escaping (Int) -> Int = { $0 }
  ) async throws -> [Parsed] {
    let boundary = try #require(FormBoundary(Array(boundary.utf8)))
    var position = 0
    let reader = FormReader(boundary: boundary, windowBytes: 1) { buffer, offset, count in
      let taken = min(max(1, piece(count)), count, bytes.count - position)
      if taken == 0 { return 0 }
      buffer.copy(Array(bytes[position..<position + taken]), at: offset)
      position += taken
      return taken
    }
    var result: [Parsed] = []
    let buffer = AlignedBuffer(count: chunk)
    while let part = try await reader.nextPart() {
      var content: [UInt8] = []
      while true {
        let count = try await reader.readContent(into: buffer, at: 0, count: chunk)
        if count == 0 { break }
        content += buffer.bytes(0..<count)
      }
      result.append(Parsed(part: part, content: content))
    }
    #expect(try await reader.nextPart() == nil)
    return result
  }

  @Test("A form is read the same however its bytes are split")
  func splitInvariance() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    let random = SeededRandom(seed: seed)
    let bits: [[UInt8]] = [
      Array("\r\n--".utf8), Array("\r\n--\(Form.boundary.dropLast())".utf8), [0x0d], [0x0a],
      Array("\r\n\r\n".utf8), Array("-\(Form.boundary)".utf8), Array("x".utf8),
    ]
    for round in 0..<60 {
      var parts: [Form.Part] = []
      for index in 0..<Int(random.next() % 4) {
        var content: [UInt8] = []
        for _ in 0..<Int(random.next() % 12) {
          if random.next() % 3 == 0 {
            content += random.bytes(Int(random.next() % 3000))
          } else {
            content += bits[Int(random.next() % UInt64(bits.count))]
          }
        }
        // The content may not hold the delimiter itself.
        guard content.firstRange(of: Array("--\(Form.boundary)".utf8)) == nil else { continue }
        parts.append(.file(name: "\(index)", content))
      }
      let form = Form.make(parts)
      let whole = try await Self.parse(form)
      #expect(whole.map(\.content) == parts.map(\.content), "seed \(seed) round \(round)")
      for way in 0..<6 {
        let split = try await Self.parse(form, chunk: [1, 7, 64, 4096][way % 4]) { _ in
          way == 0 ? 1 : Int(random.next() % [3, 40, 200, 5000, 20_000][way % 5]) + 1
        }
        #expect(split == whole, "seed \(seed) round \(round) way \(way)")
      }
    }
  }

  @Test("Broken bytes are an error or a form, whatever they are, and the same however split")
  func mutations() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    let random = SeededRandom(seed: seed)
    let form = Form.make([
      .field("note", Array("hello".utf8)),
      .file(name: "a\\\"b.txt", type: "text/plain", random.bytes(300)),
    ])
    var refused = 0
    for round in 0..<400 {
      var bytes = form
      for _ in 0...Int(random.next() % 3) {
        let place = Int(random.next() % UInt64(bytes.count))
        switch random.next() % 4 {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        default: bytes.removeSubrange(place...)
        }
        if bytes.isEmpty { bytes = [0x2d] }
      }
      let whole = await Self.outcome(bytes) { $0 }
      let split = await Self.outcome(bytes) { _ in Int(random.next() % 50) + 1 }
      #expect(whole == split, "seed \(seed) round \(round)")
      if case .failure = whole { refused += 1 }
    }
    #expect(refused > 100)
  }

  private static func outcome(
    _ bytes: [UInt8], _ piece: @escaping (Int) -> Int
  ) async -> Result<[Parsed], FormError> {
    do {
      return .success(try await parse(bytes, piece: piece))
    } catch let error as FormError {
      return .failure(error)
    } catch {
      Issue.record("another error: \(error)")
      return .success([])
    }
  }

  @Test(
    "What the grammar does not allow is refused",
    arguments: [
      "", "--", "preamble\r\n--B\r\n", "--B", "--B\r\n", "--BX\r\n", "--B--x", "--B-",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--B",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--Bjunk\r\n",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\n--B--\n",
      "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; "
        + "name=\"b\"\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64"
        + "\r\n\r\nx\r\n--B--\r\n",
      "--B\r\nContent-Disposition: form-data; name=\"a\"; filename*=latin1''a\r\n\r\n\r\n--B--",
      "--B\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''%f\r\n\r\n\r\n--B--",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text\r\n\r\n\r\n--B--",
      "--B\r\n\r\nx\r\n--B--\r\n",
    ])
  func refused(_ text: String) async throws {
    await #expect(throws: FormError.self) {
      try await Self.parse(Array(text.utf8), boundary: "B")
    }
  }

  @Test("Heads, padding and epilogues are bounded")
  func bounds() async throws {
    let head = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n"
    let long = head + "X: \(String(repeating: "x", count: FormPart.maximumHeadBytes))\r\n\r\n"
    let many = head + String(repeating: "X: y\r\n", count: FormPart.maximumFields) + "\r\n"
    let padded = "--B\(String(repeating: " ", count: 65))\r\n"
    let epilogue = head + "\r\nx\r\n--B--\r\n" + String(repeating: "e", count: 2000)
    for text in [long, many + "x\r\n--B--", padded, epilogue] {
      await #expect(throws: FormError.self) {
        try await Self.parse(Array(text.utf8), boundary: "B")
      }
    }
    let fine = head + "\r\nx\r\n--B-- \r\nepilogue"
    #expect(try await Self.parse(Array(fine.utf8), boundary: "B").map(\.content) == [[0x78]])
  }

  @Test("An empty part may end with the line of its head")
  func emptyPart() async throws {
    let text = "\r\n--B \t\r\ncontent-disposition: form-data; name=a\r\n\r\n--B--"
    let parts = try await Self.parse(Array(text.utf8), boundary: "B")
    #expect(parts.map(\.part.name) == ["a"])
    #expect(parts.map(\.content) == [[]])
  }

  @Test(
    "File names come from filename* first, with quoted pairs undone",
    arguments: [
      ("filename=\"a.txt\"", "a.txt"), ("filename=a.txt", "a.txt"),
      ("filename=\"a\\\"b\"", "a\"b"), ("filename=\"C:\\dir\\a.txt\"", "C:\\dir\\a.txt"),
      ("filename=\"ä.txt\"", "ä.txt"), ("filename=\"x\"; filename*=UTF-8''%e2%82%ac", "€"),
      ("filename*=utf-8'en'a%20b; filename=\"x\"", "a b"), ("filename=\"\"", ""),
    ])
  func fileNames(_ parameter: String, _ expected: String) throws {
    let head = "Content-Disposition: form-data; name=\"file\"; \(parameter)\r\n"
    #expect(try FormPart(head: Array(head.utf8)[...]).fileName == expected)
  }

  @Test(
    "A boundary has 1 to 70 characters of its alphabet",
    arguments: [
      ("multipart/form-data; boundary=abc", true),
      ("Multipart/Form-Data; charset=utf-8; boundary=\"a b?c\"", true),
      ("multipart/form-data; boundary=\(String(repeating: "b", count: 70))", true),
      ("multipart/form-data; boundary=\(String(repeating: "b", count: 71))", false),
      ("multipart/form-data", false), ("multipart/form-data; boundary=", false),
      ("multipart/form-data; boundary=\"\"", false),
      ("multipart/form-data; boundary=\"a \"", false),
      ("multipart/form-data; boundary=\"a\u{e9}\"", false),
      ("multipart/form-data; boundary=\"a\\\"\"", false),
      ("multipart/mixed; boundary=abc", false), ("text/plain", false), ("", false),
    ])
  func boundaries(_ type: String, _ isGood: Bool) {
    let boundary = try? FormBoundary(contentType: Array(type.utf8)[...])
    #expect((boundary != nil) == isGood)
  }
}
