import Base
import Metadata
import Placement
import ObjectEngine
import TestSupport
import Testing

/// What administrators see of the metadata in the stores, and its snapshots.
struct RecoveryEndpointTests {
  @Test("With a change log a snapshot is all that it takes to keep every acknowledged change")
  func snapshot() async throws {
    let fixture = try RecoveryFixture(seed: 231)
    let site = try RecoverySite(try await fixture.open("original"))
    try await site.serving { root in
      let before = try await root.fetch("GET", "recovery")
      #expect(before["summary"]?.text?.contains("the database is the only copy") == true)
      #expect(before["log_in_force"]?.bool == false)
      #expect(before["snapshots"]?.elements?.isEmpty == true)
      #expect(before["last_snapshot_error"] == .null && before["quarantined"]?.integer == 0)
      #expect(before["key_copies"]?.integer == 6)
      // The administrator who asks was made a moment ago.
      #expect(before["pending_changes"]?.integer ?? 0 > 0)
      _ = try await site.node.recovery.stepLog()
      #expect(try await root.fetch("GET", "recovery")["pending_changes"]?.integer == 0)
      let made = try await root.fetch("POST", "recovery/snapshot")
      #expect(made["complete"]?.bool == true)
      let number = try #require(made["number"]?.integer)
      let now = fixture.clock.now.iso8601
      #expect(made["started_at"]?.text == now && made["finished_at"]?.text == now)
      #expect(made["bytes"]?.integer ?? 0 > 0 && made["parts"]?.integer == 1)
      #expect(made["position"]?.integer ?? 0 > 0)
      let second = try await root.fetch("POST", "recovery/snapshot")
      #expect(second["number"]?.integer == number + 1)
      let after = try await root.fetch("GET", "recovery")
      #expect(after["summary"]?.text == "every acknowledged change is in the change log")
      #expect(after["log_in_force"]?.bool == true)
      #expect(after["snapshots"]?.elements == [made, second])
      let log = try #require(after["log"])
      #expect(log["on"]?.bool == true && log["warning"] == .null && log["last_error"] == .null)
      #expect(log["wanted_copies"]?.integer == 3 && log["available_copies"]?.integer == 3)
      #expect(log["last_copies"]?.integer == 3 && log["short_pieces"]?.integer == 0)
      #expect(log["pieces"]?.integer ?? 0 > 0 && log["bytes"]?.integer ?? 0 > 0)
      #expect(log["transactions"]?.integer ?? 0 >= log["pieces"]?.integer ?? .max)
      #expect(log["failed_groups"]?.integer == 0)
      #expect(try await root.fetch("GET", "status")["change_log"] == log)
    }
  }

  @Test("Without a change log it is told how much would be lost")
  func noLog() async throws {
    let fixture = try RecoveryFixture(seed: 232)
    let site = try RecoverySite(try await fixture.open("original", changeLog: .off))
    try await site.serving { root in
      _ = try await root.fetch("POST", "recovery/snapshot")
      fixture.clock.advance(seconds: 605)
      let status = try await root.fetch("GET", "recovery")
      #expect(
        status["summary"]?.text
          == "what was written in the last 10 min would be lost with the database: no change log")
      #expect(status["log_in_force"]?.bool == false && status["log"]?["on"]?.bool == false)
      #expect(status["log"]?["last_copies"] == .null)
    }
  }

  @Test("Changes that fewer stores took than should are told with the reason")
  func shortLog() async throws {
    let fixture = try RecoveryFixture(seed: 233)
    let (node, stores) = try await fixture.openFlaky("original")
    try await RecoverySite(node).serving { root in
      _ = try await root.fetch("POST", "recovery/snapshot")
      for store in stores.dropFirst(2) { store.fault = .refuses }
      #expect(try await root.send("POST", "users", json: "{\"name\":\"bob\"}").status == 201)
      let status = try await root.fetch("GET", "recovery")
      #expect(status["log"]?["last_copies"]?.integer == 2)
      #expect(status["log"]?["last_error"]?.text?.contains("refused by the test") == true)
      let warning = try #require(status["log"]?["warning"]?.text)
      #expect(
        status["summary"]?.text?.hasSuffix("in fewer stores than it should be: \(warning)") == true)
      for store in stores { store.fault = .none }
    }
  }

  @Test(
    "A snapshot that the stores do not take is a 503 that says so, and is told of until the next")
  func failedSnapshot() async throws {
    let fixture = try RecoveryFixture(seed: 234)
    let (node, stores) = try await fixture.openFlaky("original")
    try await RecoverySite(node).serving { root in
      for store in stores { store.fault = .full }
      await node.engine.stores.refresh()
      let full = try await root.send("POST", "recovery/snapshot")
      #expect(full.status == 503 && full.json?["error"]?.text == "storage_full")
      #expect(full.header("retry-after") != nil)
      let status = try await root.fetch("GET", "recovery")
      #expect(status["last_snapshot_error"]?.text?.isEmpty == false)
      #expect(status["log_in_force"]?.bool == false)
      for store in stores { store.fault = .none }
      await node.engine.stores.refresh()
      _ = try await root.fetch("POST", "recovery/snapshot")
      #expect(try await root.fetch("GET", "recovery")["last_snapshot_error"] == .null)
    }
  }

  @Test("While a snapshot is being made a second one is refused, and it is listed as unfinished")
  func twoSnapshots() async throws {
    let fixture = try RecoveryFixture(seed: 235)
    let held = fixture.stores.map { HoldingStore($0) }
    let set = StoreSet(stores: held, ring: fixture.storeSet().ring)
    let node = try await fixture.open("original", stores: set, changeLog: .off)
    try await RecoverySite(node).serving { root in
      for store in held { store.hold() }
      async let first = root.send("POST", "recovery/snapshot")
      defer { for store in held { store.release() } }
      try await eventually { held.contains { $0.waiting > 0 } }
      try await root.expect(409, "already_exists", "POST", "recovery/snapshot")
      let begun = try await root.fetch("GET", "recovery")["snapshots"]?.elements?.first
      #expect(begun?["complete"]?.bool == false && begun?["finished_at"] == .null)
      for store in held { store.release() }
      #expect(try await first.status == 200)
    }
  }

  @Test("Metadata in the stores are for administrators only, and where they are not they are 404")
  func guarded() async throws {
    let extent = ExtentID(epoch: 1, random: (1, 1))
    let requests = [
      ("GET", "recovery"), ("POST", "recovery/snapshot"), ("POST", "recovery/reconcile"),
      ("GET", "recovery/quarantine"), ("POST", "recovery/quarantine/\(extent)/adopt"),
      ("DELETE", "recovery/quarantine/\(extent)"),
    ]
    let fixture = try RecoveryFixture(seed: 236)
    let node = try await fixture.open("original")
    let site = try RecoverySite(node)
    try await site.serving { root in
      try await site.site.expectGuarded(requests)
      for (method, path) in [
        ("POST", "recovery"), ("GET", "recovery/snapshot"), ("GET", "recovery/reconcile"),
        ("POST", "recovery/quarantine"), ("GET", "recovery/quarantine/\(extent)"),
        ("POST", "recovery/quarantine/\(extent)/keep"), ("POST", "recovery/snapshot/now"),
        ("DELETE", "recovery/quarantine/\(extent)/adopt"), ("GET", "recovery/"),
      ] {
        try await root.expect(404, "not_found", method, path)
      }
      #expect(try await node.store.snapshots().isEmpty)
    }
    let alone = try AdminFixture()
    try await alone.serving { root in
      for (method, path) in requests {
        try await root.expect(404, "not_provided", method, path)
      }
    }
  }
}
