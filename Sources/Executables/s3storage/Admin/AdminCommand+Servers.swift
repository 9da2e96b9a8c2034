import Base

/// What operators do with the storage servers of a cluster.
extension AdminCommand {
  static func listServers(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 2)
    let answer = try line.client().call("GET", "servers")
    show(answer, line) {
      let rows = (answer["servers"]?.elements ?? []).map { server in
        let stores = server["stores"]?.elements ?? []
        func sum(_ name: String) -> Int64 { stores.reduce(0) { $0 + ($1[name]?.integer ?? 0) } }
        return [
          server["id"]?.text ?? "", server["address"]?.text ?? "", server["zone"]?.text ?? "",
          server["state"]?.text ?? "", server["health"]?.text ?? "", "\(stores.count)",
          "\(sum("weight"))", "\(sum("chunks"))", TextTable.bytes(sum("used")),
          TextTable.bytes(sum("free")), server["reason"]?.text ?? "",
        ]
      }
      let balance = answer["balanced"]?.bool == true ? "balanced" : "chunks are on the move"
      return TextTable.make(
        [
          "SERVER", "ADDRESS", "ZONE", "STATE", "HEALTH", "STORES", "WEIGHT", "CHUNKS", "USED",
          "FREE", "REASON",
        ], rows) + "\nring \(number(answer["ring_version"])): \(balance); "
        + "\(number(answer["repairs"])) extents to repair\n"
    }
    return 0
  }

  /// `servers drain`, `undrain` and `lost`.
  static func orderServer(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2)
    return try call(line, "POST", "servers/\(encoded(line.word(2)))/\(line.word(1))")
  }

  static func removeServer(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2, options: ["--force"])
    let answer = try line.client().call(
      "DELETE", "servers/\(encoded(line.word(2)))", query: line.has("--force") ? "force=true" : "")
    show(answer, line) { "done\n" }
    return 0
  }

  /// `servers weight` and `stores weight`.
  static func setWeight(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(2...2, after: 2)
    guard let weight = Int64(line.word(3)) else {
      throw AdminUsageError("a weight is a number")
    }
    return try call(
      line, "POST", "\(line.word(0))/\(encoded(line.word(2)))/weight",
      body: ["weight": .integer(weight)])
  }

  /// `servers replace` and `stores replace`.
  static func replaceMember(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(2...2, after: 2)
    return try call(
      line, "POST", "\(line.word(0))/\(encoded(line.word(2)))/replace",
      body: ["by": .string(line.word(3))])
  }

  private static func call(
    _ line: AdminArguments, _ method: String, _ path: String, body: JSONValue? = nil
  ) throws -> Int32 {
    let answer = try line.client().call(method, path, body: body)
    show(answer, line) { "done\n" }
    return 0
  }

  private static func encoded(_ text: String) -> String {
    PercentCoding.encode(text)
  }
}
