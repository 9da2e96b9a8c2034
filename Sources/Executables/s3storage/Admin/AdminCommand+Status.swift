import Base

extension AdminCommand {
  static func status(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 1)
    let answer = try line.client().call("GET", "status")
    show(answer, line) { statusText(answer) }
    return 0
  }

  static func workers(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 1)
    let answer = try line.client().call("GET", "workers")
    show(answer, line) {
      TextTable.make(
        ["WORKER", "STATE", "RUNS", "FAILURES", "DONE", "LAST RUN", "LAST ERROR", "DETAIL"],
        (answer["workers"]?.elements ?? []).map { worker in
          [
            worker["name"]?.text ?? "", worker["state"]?.text ?? "", number(worker["runs"]),
            number(worker["failures"]), number(worker["items_done"]),
            worker["last_run_at"]?.text ?? "never", worker["last_error"]?.text ?? "",
            worker["detail"]?.text ?? "",
          ]
        })
    }
    return 0
  }

  private static func statusText(_ answer: JSONValue) -> String {
    let counts = answer["counts"] ?? .null
    let space = answer["space"] ?? .null
    var text = "s3storage \(answer["version"]?.text ?? ""), cluster "
    text += "\(answer["cluster_id"]?.text ?? ""), up since \(answer["started_at"]?.text ?? "")\n"
    text += "redundancy  \(answer["scheme"]?.text ?? ""); "
    text += "\(answer["failure_domain"]?["summary"]?.text ?? "")\n"
    text += "space       \(bytes(space["used"])) used, \(bytes(space["free"])) free of "
    text += "\(bytes(space["capacity"]))\n"
    text += "objects     \(number(counts["objects"])), \(bytes(counts["bytes"])); "
    text += "\(number(counts["versions"])) versions, \(number(counts["uploads"])) uploads\n"
    text += "chunks      \(number(answer["chunks"])) of \(number(counts["extents"])) extents; "
    text += "\(number(counts["repairs"])) to repair, "
    text += "\(number(counts["under_spread"])) to spread wider, "
    text += "\(number(counts["tombstones"])) to delete\n"
    if let members = answer["members"], let servers = members["servers"]?.elements {
      let zones = Set(servers.compactMap { $0["zone"]?.text }.filter { !$0.isEmpty })
      text += "servers     \(number(members["answering"])) of \(servers.count) answer"
      text += zones.isEmpty ? "; " : ", in \(zones.count) zones; "
      text += "ring \(number(members["ring_version"])): "
      text += members["balanced"]?.bool == true ? "balanced; " : "chunks are on the move; "
      text += members["leads"]?.bool == true ? "this gateway leads\n" : "another gateway leads\n"
      for server in servers where server["health"]?.text != "active" {
        text +=
          "WARNING     server \(server["id"]?.text ?? "") (\(server["address"]?.text ?? "")) is "
        text += "\(server["health"]?.text ?? ""): \(server["reason"]?.text ?? "")\n"
      }
    }
    if let warning = answer["change_log"]?["warning"]?.text {
      text += "WARNING     change log: \(warning)\n"
    }
    if let extents = counts["quarantined"]?.integer, extents > 0 {
      text += "WARNING     \(extents) extents in quarantine: s3storage admin quarantine list\n"
    }
    if answer["sweep_held"]?.bool == true {
      text += "WARNING     the metadata was restored: s3storage admin reconcile\n"
    }
    if answer["master_key_exported"]?.bool != true {
      text += "WARNING     the master key was not exported: s3storage admin key export FILE\n"
    }
    return text + "\n"
      + TextTable.make(
        ["STORE", "STATE", "DEVICE", "CHUNKS", "USED", "FREE", "REASON"],
        (answer["stores"]?.elements ?? []).map { store in
          [
            store["id"]?.text ?? "", store["state"]?.text ?? "", store["device"]?.text ?? "",
            number(store["chunks"]), bytes(store["used"]), bytes(store["free"]),
            store["reason"]?.text ?? "",
          ]
        })
  }

  static func number(_ value: JSONValue?) -> String {
    value?.integer.map { "\($0)" } ?? "-"
  }

  private static func bytes(_ value: JSONValue?) -> String {
    value?.integer.map { TextTable.bytes($0) } ?? "-"
  }
}
