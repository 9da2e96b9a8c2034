import Base

extension AdminCommand {
  /// Starts a scrub and waits for its end. Fails when the scrub does, or when something is not
  /// whole afterwards.
  static func scrub(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 1, options: ["--no-wait"])
    let client = try line.client()
    var answer = try client.call("POST", "scrub")
    while answer["state"]?.text == "running", !line.has("--no-wait") {
      try await Task.sleep(for: .milliseconds(250))
      answer = try client.call("GET", "scrub")
    }
    show(answer, line) { scrubText(answer) }
    let isGood = answer["state"]?.text != "failed" && answer["clean"]?.bool == true
    return isGood ? 0 : 1
  }

  private static func scrubText(_ answer: JSONValue) -> String {
    var text = "scrub \(answer["state"]?.text ?? "")"
    if let reason = answer["reason"]?.text { text += ": \(reason)" }
    text += "\n"
    for (name, member) in [
      ("extents", "extents"), ("chunks verified", "chunks"), ("missing", "missing_chunks"),
      ("corrupt", "corrupt_chunks"), ("not reachable", "unreachable_chunks"),
      ("repaired", "repaired_chunks"), ("still to repair", "unrepaired_chunks"),
      ("unreadable extents", "unreadable_extents"), ("inline objects", "inline_objects"),
      ("corrupt inline", "corrupt_inline_objects"),
    ] {
      text += "  \(name)" + String(repeating: " ", count: 20 - name.count)
      text += number(answer[member]) + "\n"
    }
    return text
  }
}
