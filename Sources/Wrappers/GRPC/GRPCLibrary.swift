internal import CGRPC
internal import Synchronization

/// The library as a whole: it is initialised once and stays until the process ends.
public enum GRPCLibrary {
  /// How much a line of the library's own log matters.
  public enum Severity: Sendable {
    /// For those who debug the library.
    case debug
    /// The normal course of things.
    case info
    /// Something failed.
    case error
  }

  /// Takes a line of the library's log; called from any thread, and must not call the library.
  public typealias LogSink = @Sendable (Severity, String) -> Void

  private static let sink = Mutex<LogSink?>(nil)
  private static let initialized: Void = grpc_init()

  /// Initialises the library if nobody has yet.
  static func initialize() { _ = initialized }

  /// The library's release, such as "29.0.0".
  public static var version: String { unsafe String(cString: grpc_version_string()) }

  /// Sends what the library logs to `sink` instead of standard error. Set once, before the first
  /// channel or server is made; later calls replace the sink.
  public static func routeLog(to sink: @escaping LogSink) {
    self.sink.withLock { $0 = sink }
    unsafe gpr_set_log_function { arguments in
      guard let arguments = unsafe arguments, let text = unsafe arguments.pointee.message else {
        return
      }
      let severity: Severity =
        switch unsafe arguments.pointee.severity {
        case GPR_LOG_SEVERITY_ERROR: .error
        case GPR_LOG_SEVERITY_INFO: .info
        default: .debug
        }
      let sink = GRPCLibrary.sink.withLock { $0 }
      sink?(severity, unsafe String(cString: text))
    }
  }
}
