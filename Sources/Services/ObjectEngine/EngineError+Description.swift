import Metadata

extension EngineError: CustomStringConvertible {
  /// For logs, and for the operator.
  public var description: String {
    switch self {
    case .metadata(let error): error.description
    case .tooLarge(let limit): "more than \(limit) bytes"
    case .incompleteBody: "the body ended before its declared length"
    case .digestMismatch(let name): "what arrived does not have the given \(name)"
    case .tooFewStores(let available, let needed):
      "only \(available) of \(needed) stores that are needed take writes"
    case .storesFull: "the stores are full"
    case .unreadable(let available, let needed):
      "only \(available) of \(needed) chunks that are needed can be read"
    case .corrupt: "what was read does not open under its key"
    case .partTooSmall(let number): "part \(number) is too small"
    }
  }
}
