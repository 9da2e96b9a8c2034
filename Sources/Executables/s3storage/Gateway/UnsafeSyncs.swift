import Runtime
import Telemetry

/// The one switch that gives durability away.
enum UnsafeSyncs {
  static let setting = "S3STORAGE_UNSAFE_NO_FSYNC"

  /// Whether syncs are left out; shouts when they are.
  static func areSkipped(_ configuration: Configuration, _ log: Log) -> Bool {
    guard configuration.number(setting) == 1 else { return false }
    log.error("UNSAFE: nothing is synced; acknowledged data is lost at a power cut")
    return true
  }
}
