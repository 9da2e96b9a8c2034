/// What a caller allows the change log; goes with the task.
public enum ChangeLogPolicy {
  /// Whether changes may come into the log later, as long as there is no store that takes it: those
  /// by which an installation gets its first stores do, or its stores back after a stop of all,
  /// since there would never be a log otherwise. They are marked, and logged once there are stores.
  @TaskLocal public static var mayLogLater = false
}
