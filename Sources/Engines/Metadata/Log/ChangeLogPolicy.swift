/// What a caller allows the change log; goes with the task.
public enum ChangeLogPolicy {
  /// Whether changes may come into the log later, as long as there is no store at all to write it
  /// to: those by which an installation gets its first stores do, since there would never be a log
  /// otherwise. They are marked, and logged once there are stores.
  @TaskLocal public static var mayLogLater = false
}
