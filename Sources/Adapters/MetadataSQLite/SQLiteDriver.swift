import Base
public import Metadata
public import Runtime
import SQLite
import Synchronization
public import Telemetry

/// A metadata database in one SQLite file, which this process owns alone while the driver lives.
///
/// Reads run on the threads of a pool, each on a connection of its own; all writes go through one
/// connection (`SQLiteWriter`). End it with `close`; a driver that is just dropped finishes what is
/// in line and closes the file some time later.
public final class SQLiteDriver: SQLDriver {
  /// A connection that one read at a time has.
  private final class Reader: @unchecked Sendable {
    let session: SQLiteSession
    init(_ session: SQLiteSession) { self.session = session }
  }

  private struct Readers {
    var idle: [Reader] = []
    var isClosed = false
  }

  /// SQLite.
  public let dialect = SQLDialect.sqlite
  /// Where the file is.
  public let path: String
  let line: SQLiteWriter.Line
  let pool: ThreadPool
  private let thread: SerialThread
  private let clock: any WallClock
  let options: SQLiteOptions
  private let readers = Mutex(Readers())

  private init(
    path: String, line: SQLiteWriter.Line, thread: SerialThread, clock: any WallClock,
    pool: ThreadPool, options: SQLiteOptions
  ) {
    self.path = path
    self.line = line
    self.thread = thread
    self.clock = clock
    self.pool = pool
    self.options = options
  }

  deinit {
    line.queue.close()
  }

  /// Opens the file at `path`, or makes it, durably, when there is none.
  ///
  /// `pool` runs the reads: as many at once, on as many connections, as it has threads. Throws
  /// `MetadataError.unavailable`, also when another process has the file.
  public static func open(
    path: String, clock: any WallClock, pool: ThreadPool,
    options: SQLiteOptions = SQLiteOptions(), log: Log = .none
  ) async throws -> SQLiteDriver {
    try await pool.run { () throws(MetadataError) in
      do {
        return try openNow(path: path, clock: clock, pool: pool, options: options, log: log)
      } catch {
        throw error.asMetadataError
      }
    }
  }

  private static func openNow(
    path: String, clock: any WallClock, pool: ThreadPool, options: SQLiteOptions, log: Log
  ) throws -> SQLiteDriver {
    let file = try DatabaseFile(path: path)
    var settings = Connection.Options(cacheKibibytes: options.writerCacheKibibytes)
    settings.fileSystem = options.fileSystem
    let connection = try Connection(path: path, mode: .readWrite, options: settings)
    if let pages = options.maximumPages {
      try connection.execute("PRAGMA max_page_count=\(pages)")
    }
    try connection.execute("PRAGMA foreign_keys=ON")
    try connection.useWriteAheadLog(
      synchronous: options.synchronous, sizeLimit: Int64(options.checkpointPages) * 4 * 4096)
    // The file's own name, and that of the journal which the switch to a log made and removed: one
    // that came back after a power cut would roll the database back to nothing.
    try DatabaseFile.syncDirectory(of: path)
    let line = SQLiteWriter.Line()
    let writer = SQLiteWriter(
      line: line, file: file, connection: connection, clock: clock, options: options, log: log)
    guard let thread = SerialThread(name: "metadata-writer", { writer.work() }) else {
      throw MetadataError.unavailable("no thread for the metadata database")
    }
    let driver = SQLiteDriver(
      path: path, line: line, thread: thread, clock: clock, pool: pool, options: options)
    line.whenIdle.withLock { $0 = { [weak driver] in driver?.releaseMemory() } }
    return driver
  }

  /// Finishes what is in line, closes the file and gives it free. What is asked for later fails
  /// with `MetadataError.unavailable`.
  public func close() async {
    readers.withLock { readers in
      readers.isClosed = true
      readers.idle = []
    }
    line.queue.close()
    await pool.run { thread.join() }
  }

  /// Transactions that were committed, and the mutations that were in them.
  public var commits: (transactions: Int, mutations: Int) {
    line.counters.withLock { ($0.batches, $0.mutations) }
  }

  /// Mutations that wait for the writer now.
  public var waiting: Int { line.queue.count }

  // MARK: - SQLDriver

  /// Runs statements that read, on a thread of the pool.
  public func read<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    try await withTaskExecutorPreference(pool) {
      try await readOnPool(body)
    }
  }

  @concurrent
  private func readOnPool<T: Sendable>(
    _ body: @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    do {
      let reader = try takeReader()
      defer { putBack(reader) }
      defer { reader.session.endRead() }
      return try await body(reader.session)
    } catch {
      throw error.asMetadataError
    }
  }

  /// Runs a transaction together with all that wait for one.
  public func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      let mutation = Mutation(cost: cost, body: body, continuation: continuation)
      if !line.queue.add(.mutation(mutation), weight: max(cost, 1)) {
        mutation.fail(.unavailable("the metadata database is closed"))
      }
    }
  }

  private func takeReader() throws -> Reader {
    let idle = try readers.withLock { readers throws(MetadataError) in
      guard !readers.isClosed else {
        throw .unavailable("the metadata database is closed")
      }
      return readers.idle.popLast()
    }
    if let idle { return idle }
    var settings = Connection.Options(cacheKibibytes: options.readerCacheKibibytes)
    settings.fileSystem = options.fileSystem
    let connection = try Connection(path: path, mode: .readOnly, options: settings)
    return Reader(SQLiteSession(connection, clock: clock))
  }

  /// Gives back the page caches of the connections that nobody reads from now.
  private func releaseMemory() {
    let idle = readers.withLock { readers in
      defer { readers.idle = [] }
      return readers.idle
    }
    for reader in idle {
      reader.session.connection.releaseMemory()
      putBack(reader)
    }
  }

  private func putBack(_ reader: Reader) {
    readers.withLock { readers in
      if !readers.isClosed { readers.idle.append(reader) }
    }
  }
}
