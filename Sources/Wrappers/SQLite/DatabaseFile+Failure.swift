import Glibc

extension DatabaseFile.Failure: CustomStringConvertible {
  /// For logs, and for the operator.
  public var description: String {
    switch self {
    case .inUse: "another process has it"
    case .system(let number): unsafe String(cString: strerror(number))
    }
  }
}
