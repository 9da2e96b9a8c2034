import Metadata
import Runtime
import SQLite
import Synchronization

extension SQLiteDriver {
  /// A copy that is under way; touched by the writer's thread alone.
  private final class Copy: @unchecked Sendable {
    var backup: Backup?
  }

  /// Steps between two syncs of the copy, so that what is not on the disk yet stays small.
  private static let stepsPerSync = 32

  /// Writes a consistent copy of the whole database to a new file at `path`: the state at its end.
  ///
  /// The writer copies a bounded number of pages at a time, between transactions. The name `path`
  /// appears when the copy is complete and durable. Throws `MetadataError.alreadyExists` when there
  /// is a file.
  public func backup(to path: String) async throws {
    let partial = path + ".partial"
    let copy = Copy()
    do {
      try await pool.run { () throws(MetadataError) in
        guard !DatabaseFile.exists(path) else { throw .alreadyExists("file") }
        do {
          try DatabaseFile.remove(partial)
        } catch {
          throw error.asMetadataError
        }
      }
      try await onWriter { writer in
        let target = try Connection(path: partial, mode: .readWrite)
        // What makes the copy durable is the sync at its end.
        try target.execute("PRAGMA synchronous=OFF")
        copy.backup = try Backup(from: writer.connection, to: target)
      }
      let pages = options.backupStepPages
      var steps = 0
      while !(try await onWriter { _ in try copy.backup?.step(pages: pages) ?? true }) {
        steps += 1
        if steps % Self.stepsPerSync == 0 { try await sync(partial) }
      }
      try await onWriter { _ in copy.backup = nil }
      try await sync(partial)
      try await pool.run { () throws(MetadataError) in
        do {
          try DatabaseFile.rename(partial, to: path)
        } catch {
          throw error.asMetadataError
        }
      }
    } catch {
      // The copy is closed where it was open; what is left of it has no name that counts.
      try? await onWriter { _ in copy.backup = nil }
      throw error
    }
  }

  /// What SQLite finds wrong with the file, at most 100 lines; empty when all is well. Reads all of
  /// it, on a thread of the pool.
  public func quickCheck() async throws -> [String] {
    let path = self.path
    let fileSystem = options.fileSystem
    return try await pool.run { () throws(MetadataError) in
      do throws(SQLiteError) {
        var settings = Connection.Options()
        settings.fileSystem = fileSystem
        return try Connection(path: path, mode: .readOnly, options: settings).quickCheck()
      } catch {
        throw error.asMetadataError
      }
    }
  }

  private func sync(_ path: String) async throws {
    try await pool.run { () throws(MetadataError) in
      do {
        try DatabaseFile.syncFile(path)
      } catch {
        throw error.asMetadataError
      }
    }
  }

  /// Runs something on the writer's thread, between transactions.
  @discardableResult
  private func onWriter<T: Sendable>(
    _ body: @escaping @Sendable (SQLiteWriter) throws -> T
  ) async throws -> T {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
      let added = line.queue.add(
        .task { writer in
          do {
            continuation.resume(returning: try body(writer))
          } catch {
            continuation.resume(throwing: error.asMetadataError)
          }
        }, weight: 1)
      if !added {
        continuation.resume(
          throwing: MetadataError.unavailable("the metadata database is closed"))
      }
    }
  }
}
