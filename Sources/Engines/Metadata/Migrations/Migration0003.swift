/// Which marks of changes others build on, whoever made them.
///
/// Written like `Migration0001`.
enum Migration0003 {
  static let statements: [String] = [
    // founding: 1 when the transaction changed users, keys, policies or buckets.
    "ALTER TABLE change_marks ADD COLUMN founding @int NOT NULL DEFAULT 0",
    // Few at any time, however many the marks are.
    "CREATE INDEX change_marks_founding ON change_marks(id) WHERE founding = 1",
  ]
}
