/// What recovery needs: marks of changes that are on their way to the log, snapshots in the stores,
/// and chunks that nothing names.
///
/// Written like `Migration0001`.
enum Migration0002 {
  static let statements: [String] = [
    // One row for each transaction whose changes are not known to be in the log. Its number orders
    // the changes of all gateways: it is given while the transaction holds its locks.
    """
    CREATE TABLE change_marks(
      id @id, epoch @int NOT NULL, created_ms @int NOT NULL, touched @blob NOT NULL)
    """,
    // state: 1 complete, 2 given up; being written: the negative epoch of its writer, or 0.
    """
    CREATE TABLE metadata_snapshots(
      number @int PRIMARY KEY, state @int NOT NULL, log_id @blob NOT NULL,
      floor_number @int NOT NULL, started_ms @int NOT NULL, finished_ms @int NOT NULL,
      bytes @int NOT NULL, extents @blob NOT NULL) @clustered
    """,
    // kind: of the descriptor, 0 when it does not open. stores: 16 bytes for each chunk index,
    // zeros where none was found.
    """
    CREATE TABLE quarantine(
      extent @blob PRIMARY KEY, kind @int NOT NULL, bucket TEXT NOT NULL, key @blob NOT NULL,
      version TEXT NOT NULL, part_number @int NOT NULL, size @int NOT NULL,
      modified_ms @int NOT NULL, data_count @int NOT NULL, parity_count @int NOT NULL,
      stores @blob NOT NULL, found_ms @int NOT NULL) @clustered
    """,
  ]
}
