public import Base

/// One store as the ring sees it.
public struct PlacementNode: Hashable, Sendable {
  /// Whether a store takes new chunks.
  public enum State: String, Hashable, Sendable {
    /// It takes them.
    case active
    /// It is being emptied: not written to.
    case draining
    /// It does not answer: not written to.
    case inactive
  }

  /// The weight of a store of ordinary size.
  public static let ordinaryWeight = 100
  /// The largest weight.
  public static let maximumWeight = 10_000

  /// The store.
  public var id: StoreID
  /// The server that serves it: stores of one server are lost together.
  public var server: String
  /// The zone of the server, empty where there are none: servers of one zone are lost together.
  public var zone: String
  /// Its share of the data in relation to the others', 1 to `maximumWeight`; values outside are
  /// taken as the nearer end.
  public var weight: Int
  /// Whether it takes new chunks.
  public var state: State

  /// Makes a node.
  public init(
    id: StoreID, server: String, zone: String = "", weight: Int = ordinaryWeight,
    state: State = .active
  ) {
    self.id = id
    self.server = server
    self.zone = zone
    self.weight = weight
    self.state = state
  }
}
