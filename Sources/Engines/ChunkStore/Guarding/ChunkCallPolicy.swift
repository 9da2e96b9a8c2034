/// What a caller allows the stores that it calls to do on their own; goes with the task.
public enum ChunkCallPolicy {
  /// The moment (`PauseClock.now`) by which the request must have been answered: no retry begins
  /// behind it. Nil where nothing waits.
  @TaskLocal public static var deadline: Duration?

  /// Whether calls may be repeated. Callers that have something better to do after a failure, such
  /// as to take parity, say no.
  @TaskLocal public static var allowsRetries = true

  /// What stamps the calls of work that another process may take over; nil for all other calls.
  @TaskLocal public static var stamping: (any CallStamping)?
}
