import Base

/// The marks of what a transaction builds on, as it finds them before it is marked itself.
///
/// Whatever the transaction saw was committed before, and its mark stands until it is in the log.
/// Confined to the transaction.
final class FormerMarks {
  private static let founding = SQLStatement("SELECT id FROM change_marks WHERE founding = 1")
  private static let ofWriter = SQLStatement(
    "SELECT id, touched FROM change_marks WHERE epoch = $1")
  private static let touching = SQLStatement("SELECT id FROM change_marks WHERE @touches")

  private(set) var numbers: Set<Int64> = []

  /// Gathers those under its changes, once the next statement's rows are there.
  func look(
    _ session: any SQLSession, under changes: [RowChange], epoch: Int64
  ) async throws {
    try await session.check(Self.founding, []) { rows in
      self.numbers.formUnion(try rows.map { try $0.int(0) })
    }
    for (maker, keys) in Foundation.keys(under: changes, epoch: epoch) {
      try await session.check(Self.ofWriter, [.int(maker)]) { rows in
        for (number, touched) in try rows.map({ (try $0.int(0), try $0.bytes(1)) })
        where try SQLMetadataStore.touched(touched).contains(where: keys.contains) {
          self.numbers.insert(number)
        }
      }
    }
  }

  /// Gathers those of transactions that changed one of these rows, or took it away.
  func look(_ session: any SQLSession, for keys: [RowChange]) async throws {
    for key in keys {
      var touched = ByteWriter(capacity: 64)
      touched.write(key.table)
      RowCodec.write(key.values, to: &touched)
      let rows = try await session.query(Self.touching, [.bytes(touched.bytes)])
      numbers.formUnion(try rows.map { try $0.int(0) })
    }
  }
}
