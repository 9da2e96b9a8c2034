/// Waits until a condition holds that others make true, however long that takes: a run of the
/// tests in which nothing happens any more is ended from outside, which tells what waited.
///
/// Throws `CancellationError` once the task is cancelled.
public func eventually(_ condition: () async throws -> Bool) async throws {
  while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
}
