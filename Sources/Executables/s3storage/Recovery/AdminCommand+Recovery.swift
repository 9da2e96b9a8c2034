import Base
import Recovery

extension AdminCommand {
  /// What would be lost with the database.
  static func recovery(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 1)
    let answer = try line.client().call("GET", "recovery")
    show(answer, line) {
      var text = (answer["summary"]?.text ?? "") + "\n"
      for snapshot in answer["snapshots"]?.elements ?? [] {
        text += "snapshot \(snapshot["number"]?.integer ?? 0)  "
        text += TextTable.bytes(snapshot["bytes"]?.integer ?? 0)
        text += "  \(snapshot["finished_at"]?.text ?? "unfinished")\n"
      }
      return text + "quarantined extents: \(answer["quarantined"]?.integer ?? 0)\n"
    }
    return 0
  }

  /// Puts a snapshot into the stores and waits until it is durable.
  static func snapshot(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 1)
    let answer = try line.client().call("POST", "recovery/snapshot")
    show(answer, line) {
      "snapshot \(answer["number"]?.integer ?? 0) is in the stores, "
        + TextTable.bytes(answer["bytes"]?.integer ?? 0) + "\n"
    }
    return 0
  }

  /// Compares every chunk with the metadata. Fails while a store is away.
  static func reconcile(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 1)
    let answer = try line.client().call("POST", "recovery/reconcile")
    show(answer, line) { report(answer) }
    return answer["complete"]?.bool == true ? 0 : 1
  }

  private static func report(_ answer: JSONValue) -> String {
    var text = ""
    for (name, member) in [
      ("chunks in the stores", "chunks"), ("extents in the metadata", "extents"),
      ("quarantined", "quarantined"), ("found elsewhere", "moved"),
      ("queued for repair", "missing"), ("stores that are away", "absent_stores"),
    ] {
      text += "  \(name)" + String(repeating: " ", count: 26 - name.count)
      text += "\(answer[member]?.integer ?? 0)\n"
    }
    return text
  }

  /// What only chunks know of.
  static func listQuarantine(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 2)
    let client = try line.client()
    var items: [JSONValue] = []
    var query = ""
    while true {
      let answer = try client.call("GET", "recovery/quarantine", query: query)
      items += answer["extents"]?.elements ?? []
      guard let next = answer["next"]?.text else { break }
      query = "after=\(next)"
    }
    show(["extents": .array(items)], line) {
      items.isEmpty
        ? "nothing is quarantined\n"
        : items.map { item in
          let state = item["readable"]?.bool == true ? "" : "  unreadable"
          return "\(item["extent"]?.text ?? "")  \(item["kind"]?.text ?? "")  "
            + "\(item["bucket"]?.text ?? "")/\(item["key"]?.text ?? "")  "
            + TextTable.bytes(item["size"]?.integer ?? 0) + state + "\n"
        }.joined()
    }
    return 0
  }

  /// Makes an object of a quarantined extent.
  static func adopt(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2, options: ["--bucket", "--key", "--replace"])
    var members: [JSONValue.Member] = []
    if let bucket = line.value("--bucket") { members.append(.init("bucket", .string(bucket))) }
    if let key = line.value("--key") { members.append(.init("key", .string(key))) }
    if line.has("--replace") { members.append(.init("replace", "yes")) }
    let extent = try extentName(line.word(2))
    let answer = try line.client().call(
      "POST", "recovery/quarantine/\(extent)/adopt", body: .object(members))
    show(answer, line) {
      "adopted as \(answer["bucket"]?.text ?? "")/\(answer["key"]?.text ?? "")\n"
    }
    return 0
  }

  /// Gives a quarantined extent up.
  static func drop(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 2)
    let extent = try extentName(line.word(2))
    let answer = try line.client().call("DELETE", "recovery/quarantine/\(extent)")
    show(answer, line) { "dropped: its chunks are deleted after the delay of all deletions\n" }
    return 0
  }

  private static func extentName(_ text: String) throws -> String {
    guard let id = ExtentID(hex: text) else {
      throw AdminUsageError("an extent is named by 32 hexadecimal digits")
    }
    return id.description
  }

  /// Makes the metadata of a stopped server again out of its stores.
  static func rebuildMetadata(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(
      0...0, after: 1,
      options: ["--data-dir", "--drives", "--master-key-file", "--database-url", "--servers"])
    guard let directory = line.value("--data-dir") ?? line.variable("DATA_DIR") else {
      throw AdminUsageError("rebuild-metadata needs --data-dir")
    }
    let isQuiet = line.isJSON
    let progress: @Sendable (String) -> Void = { if !isQuiet { Terminal.err("\($0)\n") } }
    let report: RebuildReport
    var kept: String?
    if let url = line.value("--database-url") ?? line.variable("DATABASE_URL") {
      let servers = (line.value("--servers") ?? "").split(separator: ",").map(String.init)
      report = try await ClusterRebuild(
        databaseURL: url,
        masterKeyFile: line.value("--master-key-file") ?? line.variable("MASTER_KEY_FILE")
          ?? "\(directory)/keys/master.key",
        dataDirectory: directory, servers: servers,
        secret: line.variable("CLUSTER_SECRET") ?? ""
      ).run(progress: progress)
    } else {
      let drives = (line.value("--drives") ?? line.variable("DRIVES") ?? "").split(separator: ",")
      (report, kept) = try await EmbeddedRebuild(
        dataDirectory: directory, drives: drives.map(String.init),
        masterKeyFile: line.value("--master-key-file") ?? line.variable("MASTER_KEY_FILE")
      ).run(progress: progress)
    }
    let found = report.reconciliation
    let answer: JSONValue = [
      "snapshot": .integer(Int64(report.snapshot)),
      "snapshot_at": .string(report.snapshotTime.iso8601), "rows": .integer(Int64(report.rows)),
      "transactions": .integer(Int64(report.transactions)), "position": .integer(report.position),
      "unreadable_snapshots": .array(
        report.unreadableSnapshots.map { .integer(Int64($0)) }),
      "unreadable_pieces": .integer(Int64(report.unreadablePieces)),
      "torn_groups": .integer(Int64(report.tornGroups)),
      "chunks": .integer(Int64(found.chunks)), "extents": .integer(Int64(found.extents)),
      "quarantined": .integer(Int64(found.quarantined)), "moved": .integer(Int64(found.moved)),
      "missing": .integer(Int64(found.missing)),
      "absent_stores": .integer(Int64(found.absentStores)), "kept": JSONValue(kept),
    ]
    let place = kept
    show(answer, line) {
      """
      metadata made again: snapshot \(report.snapshot) of \(report.snapshotTime.iso8601), and \
      \(report.transactions) transactions of the change log

      """ + self.report(answer)
        + (place.map { "the metadata that was there is kept in \($0)\n" } ?? "")
        + (report.unreadablePieces + report.tornGroups > 0
          ? "\(report.unreadablePieces) pieces of the log could not be read, "
            + "\(report.tornGroups) groups are not whole\n" : "")
    }
    return 0
  }
}
