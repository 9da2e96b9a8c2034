import Metadata
import SQLite

/// A mutation in line for the writer, whatever its result is.
protocol PendingMutation: AnyObject, Sendable {
  /// About how many bytes it writes.
  var cost: Int { get }

  /// Runs it on the writer's session and keeps its result; the error when it failed.
  func run(_ session: SQLiteSession) async -> (any Error)?

  /// Answers with the result of `run`: the transaction is committed.
  func deliver()

  /// Answers with an error instead of any result. The first answer is the only one.
  func fail(_ error: MetadataError)
}

/// A mutation and whoever waits for it.
///
/// Its state is touched by the writer's thread alone.
final class Mutation<T: Sendable>: PendingMutation, @unchecked Sendable {
  typealias Body = @Sendable (any SQLSession) async throws -> T

  let cost: Int
  private let body: Body
  private var continuation: CheckedContinuation<T, any Error>?
  private var result: Result<T, any Error>?

  init(cost: Int, body: @escaping Body, continuation: CheckedContinuation<T, any Error>) {
    self.cost = cost
    self.body = body
    self.continuation = continuation
  }

  func run(_ session: SQLiteSession) async -> (any Error)? {
    do {
      result = .success(try await body(session))
      return nil
    } catch {
      result = .failure(error.asMetadataError)
      return error
    }
  }

  func deliver() {
    guard let result else { return fail(.unavailable("a mutation that did not run")) }
    continuation?.resume(with: result)
    continuation = nil
  }

  func fail(_ error: MetadataError) {
    continuation?.resume(throwing: error)
    continuation = nil
  }
}

extension Error {
  /// The error that callers of metadata get.
  var asMetadataError: MetadataError {
    switch self {
    case let error as MetadataError: error
    case let error as SQLiteError: error.isFull ? .full : .unavailable(error.message)
    case let error as DatabaseFile.Failure: .unavailable("the database's file: \(error)")
    default: .unavailable("\(self)")
    }
  }
}
