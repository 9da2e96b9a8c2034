import Redis
import TestSupport
import Testing

@Suite("A connection to Redis")
struct RedisConnectionTests {
  private func bytes(_ words: [String]) -> [[UInt8]] { words.map { Array($0.utf8) } }

  private func connect(_ url: String, milliseconds: Int = 20_000) throws -> RedisConnection {
    try RedisConnection(to: RedisAddress(url), milliseconds: milliseconds)
  }

  @Test("values of any bytes come back, several commands in one exchange")
  func values() throws {
    let server = try RedisServer()
    let connection = try connect(server.url())
    let value = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
    let set = [Array("SET".utf8), [0, 1, 2], value]
    #expect(try connection.run(set) == .status("OK"))
    let replies = try connection.runAll([
      [Array("GET".utf8), [0, 1, 2]], bytes(["GET", "none"]), bytes(["INCR", "n"]),
      bytes(["LPUSH", "n", "x"]), bytes(["MGET", "n", "none"]), bytes(["SET", "empty", ""]),
      bytes(["GET", "empty"]),
    ])
    #expect(
      replies == [
        .bytes(value), .null, .integer(1), .failure("WRONGTYPE"), .array([.bytes([0x31]), .null]),
        .status("OK"), .bytes([]),
      ])
    #expect(!connection.isBroken)
  }

  @Test("a password is needed where there is one, and a database is chosen")
  func password() throws {
    let server = try RedisServer(password: "s3:c/ret")
    #expect(throws: RedisError.refused("WRONGPASS")) {
      try connect(server.url(password: "wrong"))
    }
    let plain = try connect(server.url())
    #expect(try plain.run(bytes(["GET", "k"])) == .failure("NOAUTH"))
    let connection = try connect(server.url(password: "s3%3Ac%2Fret") + "/3")
    #expect(try connection.run(bytes(["SET", "k", "v"])) == .status("OK"))
    let other = try connect(server.url(password: "s3%3Ac%2Fret"))
    #expect(try other.run(bytes(["GET", "k"])) == .null)
    #expect(throws: RedisError.refused("ERR")) {
      try connect(server.url(password: "s3%3Ac%2Fret") + "/99")
    }
  }

  @Test("a server that hangs or dies ends the connection, and nothing else")
  func failures() throws {
    let server = try RedisServer()
    let connection = try connect(server.url(), milliseconds: 100)
    server.freeze(true)
    #expect(throws: RedisError.self) { try connection.run(bytes(["PING"])) }
    #expect(connection.isBroken)
    #expect(throws: RedisError.self) { try connection.run(bytes(["PING"])) }
    server.freeze(false)
    let second = try connect(server.url())
    #expect(try second.run(bytes(["PING"])) == .status("PONG"))
    server.stop()
    #expect(throws: RedisError.self) { try second.run(bytes(["PING"])) }
    #expect(throws: RedisError.self) { try connect(server.url()) }
  }

  @Test(
    "an address says where, as whom and what for",
    arguments: [
      ("redis://cache", "cache", 6379, nil, nil, 0),
      ("redis://:p%40ss@10.0.0.1:7000/2", "10.0.0.1", 7000, nil, "p@ss", 2),
      ("redis://user:p@[::1]:7000", "::1", 7000, "user", "p", 0),
    ] as [(String, String, UInt16, String?, String?, Int)])
  func addresses(
    _ text: String, _ host: String, _ port: UInt16, _ user: String?, _ password: String?,
    _ database: Int
  ) throws {
    let address = try RedisAddress(text)
    #expect(address.host == host)
    #expect(address.port == port)
    #expect(address.user == user)
    #expect(address.password == password)
    #expect(address.database == database)
  }

  @Test(
    "what is no address is refused without being repeated",
    arguments: [
      "", "cache:6379", "rediss://cache", "redis://", "redis://:secret@", "redis://c:0",
      "redis://c:70000", "redis://c/x", "redis://%zz:p@c", "redis://:a%00b@c",
    ])
  func noAddresses(_ text: String) {
    let error = #expect(throws: RedisError.self) { try RedisAddress(text) }
    #expect(error.map { !$0.description.contains("secret") } == true)
  }
}
