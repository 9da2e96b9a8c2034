/// How the change log fares, for an operator.
public struct ChangeLogStatus: Hashable, Sendable {
  /// Whether changes go to a log.
  public var isOn = false
  /// Stores that each piece should go to.
  public var wantedCopies = 0
  /// Stores that would take a piece now, no more than are wanted.
  public var availableCopies = 0
  /// Pieces that are known to lie in fewer stores than wanted.
  public var shortPieces = 0
  /// Stores that took the last piece; nil before the first.
  public var lastCopies: Int?
  /// Why the last piece did not go to as many stores as it should; nil when it did.
  public var lastError: String?
  /// Pieces written by this process.
  public var pieces = 0
  /// Transactions in them.
  public var records = 0
  /// Their bytes, of one copy.
  public var bytes = 0
  /// Groups that no store took: their callers were told that the outcome is unknown.
  public var failedGroups = 0
}

extension ChangeLogStatus {
  /// One line: what an operator should know of it; nil when all is as it should be.
  public var warning: String? {
    guard isOn else { return nil }
    var parts: [String] = []
    if availableCopies < wantedCopies {
      parts.append("\(availableCopies) of \(wantedCopies) copies of each change can be made now")
    } else if let lastError, let lastCopies {
      parts.append("the last change has \(lastCopies) of \(wantedCopies) copies (\(lastError))")
    }
    if shortPieces > 0 {
      parts.append("\(shortPieces) pieces wait for stores that take the copies they lack")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}
