import Metadata
import Postgres

extension PostgresDriver {
  /// Any number, the same in all releases: the migrations' advisory lock.
  private static let migrationLock: Int64 = 0x7333_7374_6f72_6167

  /// The schema that the database has; 0 for none.
  func schemaVersion() async throws -> Int {
    try await read { session in
      do {
        return try await Migrations.version(session)
      } catch let error as PostgresError where error.state == .undefinedTable {
        return 0
      }
    }
  }

  /// Applies what is missing, in one transaction. There is no number of it: a migration whose
  /// commit got no answer is tried again and finds what it did.
  func migrate() async throws -> [Int] {
    do {
      return try await withConnection { pooled in
        let session = PostgresSession(pooled.connection, self.context, .write)
        do {
          // Until the end of the transaction, so that a pooler cannot take it elsewhere.
          try await session.define("SELECT pg_advisory_xact_lock(\(Self.migrationLock))")
          let done = try await Migrations.apply(in: session, dialect: .postgres)
          guard try session.commit(recording: nil) == "COMMIT" else {
            throw PostgresError.failed("a migration was rolled back instead of committed")
          }
          return done
        } catch {
          session.rollBack()
          throw session.failure ?? error
        }
      }
    } catch {
      throw error.asMetadataError
    }
  }
}
