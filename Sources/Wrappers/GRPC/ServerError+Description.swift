extension ServerError: CustomStringConvertible {
  /// For the operator.
  public var description: String {
    switch self {
    case .bind(let address):
      "cannot listen on \(address): it is in use, or not an address of this machine"
    case .started: "the server has been run before"
    }
  }
}
