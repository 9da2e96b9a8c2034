public import ObjectEngine
import Placement

/// How many extents a worker makes chunks of at a time: one for each so many servers, as many as one
/// extent asks for something, so that a server has no more of it in a large installation.
public struct ExtentLanes: Sendable {
  private let stores: StoreSet
  private let serversPerLane: Int?
  /// The most there ever are.
  public let maximum: Int

  /// One lane for each `serversPerLane` servers that `stores` are on, as many as an extent has chunks
  /// where it is nil; at least one and at most `maximum`.
  public init(stores: StoreSet, serversPerLane: Int? = nil, maximum: Int = 1) {
    self.stores = stores
    self.serversPerLane = serversPerLane
    self.maximum = max(maximum, 1)
  }

  /// As many as `configuration` says.
  init(stores: StoreSet, _ configuration: BackgroundConfiguration) {
    self.init(
      stores: stores, serversPerLane: configuration.serversPerRepair,
      maximum: configuration.maximumRepairs)
  }

  /// How many there are by now.
  public var count: Int {
    let ring = stores.ring
    return min(max(ring.serverCount / max(1, serversPerLane ?? ring.width), 1), maximum)
  }
}
