import Base
import Runtime

extension AdminCommand {
  static func createKey(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2, options: ["--expires", "--note"])
    let id = line.ownValue("--access-key")
    let secret = line.ownValue("--secret-key")
    guard (id == nil) == (secret == nil) else {
      throw AdminUsageError("--access-key and --secret-key are given together or not at all")
    }
    let expires = try line.value("--expires").map { text in
      guard let time = expiry(text, now: SystemWallClock().now) else {
        throw AdminUsageError("--expires is 2026-12-31T00:00:00Z, or 12h, or 30d")
      }
      return time.iso8601
    }
    let answer = try line.client(takesOwnKeys: true).call(
      "POST", "keys",
      body: [
        "user": .string(line.word(2)), "access_key": JSONValue(id),
        "secret_key": JSONValue(secret), "note": JSONValue(line.value("--note")),
        "expires_at": JSONValue(expires),
      ])
    show(answer, line) {
      "access key  \(answer["access_key"]?.text ?? "")\n"
        + "secret key  \(answer["secret_key"]?.text ?? "")   (shown this once)\n"
        + (expires.map { "expires     \($0)\n" } ?? "")
    }
    return 0
  }

  static func listKeys(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...1, after: 2)
    let query = line.words.count > 2 ? "user=\(PercentCoding.encode(line.word(2)))" : ""
    let answer = try line.client().call("GET", "keys", query: query)
    show(answer, line) {
      TextTable.make(
        ["ACCESS KEY", "USER", "STATUS", "EXPIRES", "CREATED", "NOTE"],
        (answer["keys"]?.elements ?? []).map { key in
          [
            key["access_key"]?.text ?? "", key["user"]?.text ?? "", key["status"]?.text ?? "",
            key["expires_at"]?.text ?? "never", key["created_at"]?.text ?? "",
            key["note"]?.text ?? "",
          ]
        })
    }
    return 0
  }

  static func revokeKey(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2)
    let answer = try line.client().call(
      "DELETE", "keys/\(PercentCoding.encode(line.word(2)))")
    show(answer, line) { "revoked \(line.word(2))\n" }
    return 0
  }

  /// A moment in ISO 8601, or hours (`12h`) or days (`30d`) from now; nil for anything else.
  static func expiry(_ text: String, now: Timestamp) -> Timestamp? {
    if let time = Timestamp(iso8601: text) { return time }
    guard text.utf8.count <= 6, let unit = text.last, let count = Int64(text.dropLast()), count > 0
    else { return nil }
    switch unit {
    case "h": return now.advanced(byMilliseconds: count * 3_600_000)
    case "d": return now.advanced(byMilliseconds: count * 86_400_000)
    default: return nil
    }
  }
}
