import Base

/// What a transaction builds on that another one made: the log has to have it before the first is
/// acknowledged, or a database made again from the log would have the one without the other.
///
/// An object needs its bucket, its owner and the key that seals it. Who made these is answered when
/// they are in the log; one that died before may still have been seen. What is written about a
/// version, or made of parts, needs these.
enum Foundation {
  /// Tables whose rows anything may build on.
  private static let tables = numbers(
    ["encryption_keys", "tenants", "users", "access_keys", "policies", "buckets", "bucket_config"])
  private static let versions = numbers(["object_versions"])
  private static let links = numbers(["version_extents"])
  private static let extents = numbers(["extents"])
  private static let extentOfLink =
    LoggedTable.named("version_extents")?.columns.firstIndex(of: "extent") ?? 0

  private static func numbers(_ names: [Substring]) -> Set<UInt8> {
    Set(names.compactMap { LoggedTable.named($0)?.number })
  }

  /// Whether anything may build on the changes of a transaction.
  static func isLaid(by changes: [RowChange]) -> Bool {
    changes.contains { tables.contains($0.table) }
  }

  /// The keys of what a transaction of `epoch` took over from other writers, by their epochs:
  /// versions that it changed, extents that it made a version of.
  static func keys(under changes: [RowChange], epoch: Int64) -> [Int64: Set<RowChange>] {
    var found: [Int64: Set<RowChange>] = [:]
    for change in changes where !change.isDelete {
      if versions.contains(change.table), case .int(let number)? = change.values.first {
        let maker = Int64(VersionNumber(rawValue: number).epoch)
        guard maker != epoch, let key = change.key else { continue }
        found[maker, default: []].insert(key)
      } else if links.contains(change.table), change.values.indices.contains(extentOfLink),
        case .bytes(let bytes) = change.values[extentOfLink]
      {
        guard let maker = ExtentID(bytes: bytes).map({ Int64($0.epoch) }), maker != epoch
        else { continue }
        for table in extents {
          found[maker, default: []].insert(
            RowChange(table: table, isDelete: true, values: [.bytes(bytes)]))
        }
      }
    }
    return found
  }
}

extension RowChange {
  /// The key of the row alone, as marks have it; nil for a row of no known table.
  var key: RowChange? {
    guard let known = LoggedTable.numbered(table) else { return nil }
    return RowChange(table: table, isDelete: true, values: Array(values.prefix(known.keyCount)))
  }
}
