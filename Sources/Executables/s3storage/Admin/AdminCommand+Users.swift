import Base

extension AdminCommand {
  static func createUser(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2, options: ["--email", "--admin"])
    let answer = try line.client().call(
      "POST", "users",
      body: [
        "name": .string(line.word(2)), "email": JSONValue(line.value("--email")),
        "role": line.has("--admin") ? "administrator" : "user",
      ])
    show(answer, line) { "made user \(line.word(2))\n" }
    return 0
  }

  static func listUsers(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 2)
    let answer = try line.client().call("GET", "users")
    show(answer, line) {
      TextTable.make(
        ["NAME", "ROLE", "STATUS", "EMAIL", "CREATED"],
        (answer["users"]?.elements ?? []).map { user in
          [
            user["name"]?.text ?? "", user["role"]?.text ?? "",
            user["disabled"]?.bool == true ? "disabled" : "active", user["email"]?.text ?? "",
            user["created_at"]?.text ?? "",
          ]
        })
    }
    return 0
  }

  static func changeUser(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2)
    let verb = line.word(1)
    let answer = try line.client().call(
      "POST", "users/\(PercentCoding.encode(line.word(2)))/\(verb)")
    show(answer, line) { "\(verb)d user \(line.word(2))\n" }
    return 0
  }
}
