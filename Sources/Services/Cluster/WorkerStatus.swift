public import Base

/// How one background worker fares, for an operator.
public struct BackgroundWorkerStatus: Hashable, Sendable {
  /// What a worker is at.
  public enum Activity: String, Hashable, Sendable {
    /// Not started yet, or ended.
    case stopped
    /// In a step.
    case working
    /// Between two steps.
    case waiting
    /// Waiting longer since its last step failed.
    case failing
  }

  /// The worker's name.
  public var name: String
  /// What it is at.
  public var activity: Activity
  /// Steps that came to their end, well or not.
  public var runs: Int
  /// Steps that failed.
  public var errors: Int
  /// Why the last step failed; nil when it did not.
  public var lastError: String?
  /// When the last step began; nil before the first.
  public var lastRun: Timestamp?
  /// How far it is.
  public var progress: WorkerProgress
}
