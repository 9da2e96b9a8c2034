extension ClusterAdministrationError: CustomStringConvertible {
  /// For logs, and for the operator.
  public var description: String {
    switch self {
    case .notFound(let what): "not found: \(what)"
    case .notDrained: "the server may still hold chunks"
    case .badWeight: "a weight is 1 to 10,000"
    case .refused(let reason): reason
    }
  }
}
