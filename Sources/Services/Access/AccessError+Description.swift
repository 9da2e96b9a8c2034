extension AccessError: CustomStringConvertible {
  /// For logs, and for the operator.
  public var description: String {
    switch self {
    case .invalidKey: "no valid access key"
    case .expired: "the time of the access key is over"
    case .invalidInput(let reason): reason
    }
  }
}
