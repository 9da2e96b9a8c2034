import Testing

@testable import Metadata

/// What was applied to users' databases cannot be changed any more: a change is another migration.
@Suite("Migrations that were released")
struct MigrationTextTests {
  /// FNV-1a of 128 bits over what a database is told, a zero byte behind each statement.
  private static func hash(_ statements: [String], _ dialect: SQLDialect) -> String {
    let prime: UInt128 = 1 << 88 | 0x13b
    var hash: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
    let text = statements.map { dialect.render($0) + "\0" }.joined()
    for byte in text.utf8 {
      hash = (hash ^ UInt128(byte)) &* prime
    }
    return String(hash, radix: 16)
  }

  @Test(
    "the text of a released migration is the one that was released",
    arguments: [
      (1, SQLDialect.sqlite, "eef2d3513432594f38273fd24b333573"),
      (1, .postgres, "1be73f5adb1907c22c3bcb8bc8f9ba2c"),
      (2, .sqlite, "f84e4d92409490e4184432017758dbb8"),
      (2, .postgres, "7ac7b6edf34c0a7838c44a9997e91d65"),
      (3, .sqlite, "7912df4ecd6ea930c3fc85088d95d7fd"),
      (3, .postgres, "1105fafa2f118dba02fab34424f5bdd2"),
    ])
  func frozen(number: Int, dialect: SQLDialect, wanted: String) throws {
    let released = [
      1: Migration0001.statements, 2: Migration0002.statements, 3: Migration0003.statements,
    ]
    let statements = try #require(released[number])
    #expect(
      Self.hash(statements, dialect) == wanted,
      "migration \(number) is applied in users' databases: write another one instead")
  }

  @Test("a migration is not forgotten here")
  func complete() {
    #expect(Migrations.current == 3)
  }

  @Test("the hash tells texts, and where statements end, apart")
  func hashes() {
    #expect(Self.hash(["@blob"], .sqlite) != Self.hash(["@blob"], .postgres))
    #expect(Self.hash(["a"], .sqlite) != Self.hash(["b"], .sqlite))
    #expect(Self.hash(["ab"], .sqlite) != Self.hash(["a", "b"], .sqlite))
  }
}
