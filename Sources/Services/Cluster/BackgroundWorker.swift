/// What became of one step of a background worker.
public enum StepOutcome: Hashable, Sendable {
  /// More is to be done, at once.
  case busy
  /// Nothing is to be done for so long.
  case idle(nextAfter: Duration)
  /// More is to be done, after a rest that keeps the worker to its duty cycle.
  case throttled
}

/// How far a worker is, for an operator.
public struct WorkerProgress: Hashable, Sendable {
  /// Items done since the process started; what an item is depends on the worker.
  public var itemsDone: Int
  /// What it is at, in words; may be empty. Names no path and no user's data.
  public var detail: String

  /// Makes a progress record.
  public init(itemsDone: Int = 0, detail: String = "") {
    self.itemsDone = itemsDone
    self.detail = detail
  }
}

/// Work that goes on beside requests, in bounded steps.
///
/// `step` is called again and again, on an executor that may block, by one task at a time or by as
/// many as there are `lanes`; all that must outlive the process is in the metadata or in the stores.
/// `progress` is read at any time.
public protocol BackgroundWorker: Sendable {
  /// A short name, the same in every release.
  var name: String { get }
  /// The part of the time that it may work when it has much to do, above 0 to 1.
  var dutyCycle: Double { get }
  /// The most steps that ever run at once, each with the duty cycle for itself; always the same.
  var maximumLanes: Int { get }
  /// How many of them may run now, from 1 to `maximumLanes`.
  var lanes: Int { get }
  /// How far it is.
  var progress: WorkerProgress { get }
  /// Whether its steps must not wait for those of others: what keeps this process alive for them.
  var isUrgent: Bool { get }
  /// The longest delay before a step is tried again that failed.
  var longestDelay: Duration { get }
  /// Does a bounded piece of work; what takes long calls `DutyCycle.rest` now and then. After an
  /// error it is called again, after a growing delay.
  func step() async throws -> StepOutcome
  /// Another process may have done this work since the last step: what is remembered of it counts
  /// no more. Called by the first lane to find that out, while others may be in a step still that they
  /// began before.
  func beginTerm()
  /// What is done instead of `step` while another process does this work; nil for nothing.
  func stepWithoutLead() async throws -> StepOutcome?
}

extension BackgroundWorker {
  /// All of the time.
  public var dutyCycle: Double { 1 }
  /// One.
  public var maximumLanes: Int { 1 }
  /// All there are.
  public var lanes: Int { maximumLanes }
  /// It may wait.
  public var isUrgent: Bool { false }
  /// A minute.
  public var longestDelay: Duration { WorkerSupervisor.longestDelay }
  /// Nothing is remembered.
  public func beginTerm() {}
  /// Nothing.
  public func stepWithoutLead() async throws -> StepOutcome? { nil }
}
