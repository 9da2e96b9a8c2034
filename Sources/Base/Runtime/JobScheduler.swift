/// Runs the jobs of a `ThreadPool` that has no threads of its own.
///
/// A simulation implements it to run a whole system on one thread, in an order of its choice.
public protocol JobScheduler: AnyObject, Sendable {
  /// Takes a job, which is to be run once: `job.runSynchronously(on: executor)`. Called from any
  /// thread; returns without running it.
  func enqueue(_ job: UnownedJob, on executor: UnownedTaskExecutor)
}
