public import Base

/// A storage server as the metadata knows it.
public struct StorageServerRecord: Hashable, Sendable {
  /// What the operators want of a server. Whether it answers is another matter: `lastHeartbeat`.
  public enum State: Int64, Hashable, Sendable {
    /// It holds chunks and takes new ones.
    case active = 0
    /// It is being emptied: read, not written to.
    case draining = 1
    /// It is gone for good; its row stays, so that it is known when it returns.
    case left = 2
  }

  /// The server.
  public var id: ServerID
  /// Where it listens: `host:port`.
  public var address: String
  /// Its zone; empty where there are none.
  public var zone: String
  /// What is wanted of it.
  public var state: State
  /// The release that it ran when it was last heard of.
  public var version: String
  /// When it last answered a gateway, by the database's clock.
  public var lastHeartbeat: Timestamp
  /// When it first registered.
  public var joined: Timestamp

  /// Makes a record of its fields.
  public init(
    id: ServerID, address: String, zone: String, state: State, version: String,
    lastHeartbeat: Timestamp, joined: Timestamp
  ) {
    self.id = id
    self.address = address
    self.zone = zone
    self.state = state
    self.version = version
    self.lastHeartbeat = lastHeartbeat
    self.joined = joined
  }
}

/// What a storage server says of itself when it registers.
public struct StorageServerRegistration: Hashable, Sendable {
  /// The server.
  public var id: ServerID
  /// Where gateways reach it: `host:port`.
  public var address: String
  /// Its zone; empty where there are none.
  public var zone: String
  /// The release that it runs.
  public var version: String
  /// Its stores, in order, with their weights (`PlacementNode.weight`).
  public var stores: [(id: StoreID, weight: Int)]
  /// Which of its stores are in the place of former ones, whose disks were replaced.
  public var replacedStores: [StoreReplacement] = []
  /// The server whose place it takes if it is new; nil for none.
  public var replacing: ServerID?

  /// A store in the place of another of the same server.
  public struct StoreReplacement: Hashable, Sendable {
    /// The one that is gone.
    public var old: StoreID
    /// The one that is there now.
    public var new: StoreID

    /// One store for another.
    public init(old: StoreID, new: StoreID) {
      self.old = old
      self.new = new
    }
  }

  /// Makes a registration of its fields, which replaces nothing.
  public init(
    id: ServerID, address: String, zone: String, version: String,
    stores: [(id: StoreID, weight: Int)]
  ) {
    self.id = id
    self.address = address
    self.zone = zone
    self.version = version
    self.stores = stores
  }

  /// Field by field.
  public static func == (left: Self, right: Self) -> Bool {
    left.id == right.id && left.address == right.address && left.zone == right.zone
      && left.version == right.version && left.replacedStores == right.replacedStores
      && left.replacing == right.replacing
      && left.stores.elementsEqual(right.stores) { $0.id == $1.id && $0.weight == $1.weight }
  }

  /// By the server.
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
