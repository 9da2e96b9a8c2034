import Base
import Metadata
import Synchronization

/// A session that notes what is asked.
final class CountingSession: SQLSession {
  private let inner: any SQLSession
  private let driver: SharedDriver

  init(_ inner: any SQLSession, _ driver: SharedDriver) {
    self.inner = inner
    self.driver = driver
  }

  var memo: TransactionMemo { inner.memo }

  private func note(_ text: String) {
    driver.statements.withLock { $0?.append(text) }
  }

  func now() async throws -> Timestamp {
    let now = try await inner.now()
    driver.delays.withLock { $0[.time] }?()
    return now
  }

  func snapshot() async throws { try await inner.snapshot() }

  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows {
    note(statement.text)
    return try await inner.query(statement, values)
  }

  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int {
    note(statement.text)
    return try await inner.run(statement, values)
  }

  func define(_ text: String) async throws {
    note(text)
    try await inner.define(text)
  }
}
