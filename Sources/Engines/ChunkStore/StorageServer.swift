public import Base

/// What a storage server tells of itself when it is asked how it is.
public struct StorageServerHealth: Sendable {
  /// The server.
  public var server: ServerID
  /// The installation that its stores belong to.
  public var cluster: ClusterID
  /// The release that it runs.
  public var version: String
  /// Its stores and how they are.
  public var stores: [(id: StoreID, health: StoreHealth)]

  /// Makes a record of its fields.
  public init(
    server: ServerID, cluster: ClusterID, version: String,
    stores: [(id: StoreID, health: StoreHealth)]
  ) {
    self.server = server
    self.cluster = cluster
    self.version = version
    self.stores = stores
  }
}

/// A storage server as a gateway reaches it. Usable from any task; making one does no I/O.
public protocol StorageServerConnection: AnyObject, Sendable {
  /// Where the server listens: `host:port`.
  var address: String { get }

  /// Asks the server how it is. Throws `offline` when it does not answer in time or is not the one
  /// that the connection was made for.
  func health() async throws(ChunkStoreError) -> StorageServerHealth

  /// One of the server's stores; whether it is there shows when it is used.
  func store(_ id: StoreID) -> any ChunkStore

  /// Ends the connection: calls that run fail with `offline`.
  func close() async
}

/// Makes connections to storage servers.
public protocol StorageServerConnecting: Sendable {
  /// A connection to the server `id` at `address` (`host:port`), which is refused later when it
  /// turns out to be another server.
  func connect(to address: String, server id: ServerID) -> any StorageServerConnection
}
