public import Base

/// A database as the repository uses it: reads, and transactions that write.
///
/// Bodies may be run again from the start by a driver whose database gives up transactions
/// (serialisation failures), so they change nothing but through their session. Both functions throw
/// `MetadataError` and nothing else.
public protocol SQLDriver: Sendable {
  /// How the database's SQL differs.
  var dialect: SQLDialect { get }

  /// Runs statements that read. Each sees what is committed when it begins; all of them the same
  /// after `SQLSession.snapshot`.
  func read<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T

  /// Runs a transaction. Returns, or throws what the body threw, once it is known to be on stable
  /// storage; a body that throws has changed nothing.
  ///
  /// `cost` is about how many bytes it writes, so that a batch of transactions can be bounded.
  func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T

  /// Transactions that threw `unknownOutcome` and of which that may still be found out.
  var unresolvedCount: Int { get }

  /// Writes a consistent copy of the whole database to a new file at `path`.
  func backup(to path: String) async throws
}

extension SQLDriver {
  /// None: after such a failure nothing is written any more.
  public var unresolvedCount: Int { 0 }
}

/// What runs statements inside `SQLDriver.read` and `write`; not to be kept beyond them.
public protocol SQLSession: AnyObject {
  /// What a transaction gathers until it ends.
  var memo: TransactionMemo { get }

  /// The time by the database's clock; about the same all through a transaction.
  func now() async throws -> Timestamp

  /// Has the queries that follow in this read all see one state of the database.
  func snapshot() async throws

  /// Runs a statement and returns its rows. A list that may be long carries a `LIMIT`.
  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows

  /// Runs a statement that changes rows; how many it changed.
  @discardableResult
  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int

  /// Runs a statement of which only its failure matters. A driver may keep it back until the next
  /// statement whose rows are asked for, or the commit, to save a round trip: the order stays, and
  /// the error comes then.
  func execute(_ statement: SQLStatement, _ values: [SQLValue]) async throws

  /// Runs a query whose rows are handed to `body`, at the latest before the rows of the next query
  /// are returned or the transaction is committed; what `body` throws fails the transaction. A
  /// driver may keep it back as with `execute`.
  func check(
    _ statement: SQLStatement, _ values: [SQLValue], _ body: @escaping (SQLRows) throws -> Void
  ) async throws

  /// Runs a statement of a migration: without values, and not kept.
  func define(_ text: String) async throws
}

extension SQLSession {
  /// Runs it at once.
  public func execute(_ statement: SQLStatement, _ values: [SQLValue]) async throws {
    try await run(statement, values)
  }

  /// Runs it at once.
  public func check(
    _ statement: SQLStatement, _ values: [SQLValue], _ body: @escaping (SQLRows) throws -> Void
  ) async throws {
    try body(try await query(statement, values))
  }
}

/// What the mutations of one transaction gather, written or forgotten when it ends.
///
/// A driver that runs several mutations in one transaction keeps one memo for all of them, copies
/// it before each, puts the copy back when that mutation fails, and calls `flush` before the
/// commit.
public final class TransactionMemo {
  /// What a memo holds.
  public struct Content: Sendable {
    /// A writer epoch that this transaction has found live.
    var liveEpoch: UInt64?
    /// Objects and bytes that came and went, by bucket.
    var usage: [BucketID: Usage] = [:]
    /// How many of the memo's changes count.
    var changeCount = 0

    /// Nothing.
    public init() {}
  }

  /// What was gathered so far.
  public var content = Content()
  /// Rows that were changed; those behind `content.changeCount` were taken back.
  var changes: [RowChange] = []
  /// Whether statements are on their way whose rows are not noted yet.
  var hasDeferred = false
  /// Whoever waits for the record of this transaction; made when somebody does.
  var ticket: ChangeTicket?
  /// The writer whose changes these are; 0 for none.
  var changeEpoch: Int64 = 0
  /// Rows whose absence is the answer of a mutation that had nothing to change.
  var absent: [RowChange] = []
  /// Whether to look for marks of what the transaction builds on.
  var looksBack = false
  /// Whether others may build on the changes; nil to tell by the tables.
  var isFounding: Bool?

  /// Begins with nothing.
  public init() {}

  private static let insertUsage = SQLStatement(
    "INSERT INTO usage_deltas(bucket_id, objects, bytes) VALUES($1, $2, $3)")

  /// Writes what was gathered, one row for each bucket, and forgets it.
  public func flush(to session: any SQLSession) async throws {
    let usage = content.usage
    try await flushChanges(to: session)
    content = Content()
    for (bucket, delta) in usage where delta.objects != 0 || delta.bytes != 0 {
      try await session.execute(
        Self.insertUsage, [.int(bucket.number), .int(delta.objects), .int(delta.bytes)])
    }
  }

  func addUsage(_ bucket: BucketID, objects: Int64, bytes: Int64) {
    guard objects != 0 || bytes != 0 else { return }
    content.usage[bucket, default: Usage(objects: 0, bytes: 0)].objects &+= objects
    content.usage[bucket, default: Usage(objects: 0, bytes: 0)].bytes &+= bytes
  }
}
