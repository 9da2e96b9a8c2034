import Postgres

/// What a server must be like, looked at on each new connection: a failover may lead to another.
enum ServerCheck {
  private static let query = """
    SELECT current_setting('fsync'), current_setting('full_page_writes'),
      current_setting('synchronous_commit'), pg_is_in_recovery(),
      current_setting('server_encoding'),
      CAST(current_setting('server_version_num') AS BIGINT)
    """

  /// Throws unless commits are durable on this server and it can be written to.
  static func check(
    _ connection: Connection, _ deadline: Deadline
  ) throws(PostgresError) {
    let row = try connection.run(query, deadline: deadline)
    for (column, name) in ["fsync", "full_page_writes", "synchronous_commit"].enumerated() {
      guard let value = row.text(row: 0, column: column), value != "off" else {
        throw .failed(
          "the server's setting \(name) is off: acknowledged writes would be lost when it crashes")
      }
    }
    guard row.integer(row: 0, column: 3) == 0 else {
      // The one that can be written to may be back any moment.
      throw .noConnection("the server is a standby")
    }
    guard row.text(row: 0, column: 4) == "UTF8" else {
      throw .failed("the database's encoding is not UTF8")
    }
    guard let version = row.integer(row: 0, column: 5), version >= 150_000 else {
      throw .failed("the server is older than PostgreSQL 15")
    }
  }
}
