import Base
import Metadata
import Synchronization

/// Whether the stores could make the metadata again.
extension SimulationWorld {
  /// Makes the metadata a second time, out of the stores alone, and compares all rows.
  func checkRebuild() async {
    guard plan.comparesRebuild else { return }
    do {
      for _ in 0..<10 {
        await sleep(.seconds(2))
        guard try await observer.pendingChanges() == 0 else { continue }
        let known = try await rows(observer)
        let made = try await rowsOfRebuild()
        // Background work records now and then what it has done.
        guard try await rows(observer) == known else { continue }
        return compare(known, made)
      }
      violation("the metadata never comes to rest")
    } catch {
      violation("the metadata cannot be made again: \(error)")
    }
  }

  private func rowsOfRebuild() async throws -> [UInt8: Set<[SQLValue]>] {
    let scratch = try SimulatedDatabase(scheduler: scheduler, seed: 0)
    scratch.faults.keepsDeleted = database.faults.keepsDeleted
    let driver = ObservingDriver(scratch)
    try await Migrations.apply(to: driver)
    let target = SQLMetadataStore(driver: driver, random: random)
    let report = try await rebuild(target)
    if report.unreadablePieces > 0 { violation("pieces of the log cannot be read: \(report)") }
    return try await rows(target)
  }

  private func compare(
    _ known: [UInt8: Set<[SQLValue]>], _ made: [UInt8: Set<[SQLValue]>]
  ) {
    for table in Set(known.keys).union(made.keys).sorted() {
      let lost = (known[table] ?? []).subtracting(made[table] ?? [])
      let gained = (made[table] ?? []).subtracting(known[table] ?? [])
      guard !lost.isEmpty || !gained.isEmpty else { continue }
      violation(
        """
        a rebuild lacks \(lost.count) rows of table \(table) and has \(gained.count) that are not \
        there: \(lost.first ?? []) against \(gained.first ?? [])
        """)
    }
  }

  /// The rows of the tables that are logged, by the number of the table.
  private func rows(_ store: SQLMetadataStore) async throws -> [UInt8: Set<[SQLValue]>] {
    let found = Mutex<[UInt8: Set<[SQLValue]>]>([:])
    try await store.dump(cluster: cluster, log: [], floor: .max) { item in
      guard case .rows(let number, let rows) = item,
        LoggedTable.numbered(number)?.isLogged == true
      else { return }
      // Which snapshots the stores have shows by themselves.
      let kept = rows.filter { row in
        guard case .bytes(let bytes)? = row.first, let id = ExtentID(bytes: bytes) else {
          return true
        }
        return !SystemExtentID.isReserved(id)
      }
      found.withLock { $0[number, default: []].formUnion(kept) }
    }
    return found.withLock { $0 }
  }
}
