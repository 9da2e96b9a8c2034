internal import CGRPC
internal import Glibc
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
  private static let initialized: Void = {
    ignoreLockOrder()
    grpc_init()
  }()

  /// Initialises the library if nobody has yet.
  static func initialize() { _ = initialized }

  /// Switches off what Debian's build of the library's locks has left on: it draws a graph of every
  /// lock that is taken while another one is held, and ends the process when two were ever taken in
  /// both orders, though nothing need have waited. Other builds have no such function of that name,
  /// and nothing to switch off.
  private static func ignoreLockOrder() {
    typealias SetDetection = @convention(c) (_ mode: CInt) -> Void
    let name = "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE"
    guard let address = unsafe dlsym(nil, name) else { return }
    // 0 ignores, 1 reports, 2 ends the process.
    unsafe unsafeBitCast(address, to: SetDetection.self)(0)
  }

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
