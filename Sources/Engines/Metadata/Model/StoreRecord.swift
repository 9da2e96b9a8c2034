public import Base

/// A store as the metadata knows it.
public struct StoreRecord: Hashable, Sendable {
  /// Whether a store's chunks count.
  public enum State: Int64, Hashable, Sendable {
    /// They do.
    case active = 0
    /// It was away for too long: its chunks are made again elsewhere. Should it return, it counts
    /// again only after it was compared with the metadata.
    case lost = 1
    /// It is gone for good.
    case left = 2
  }

  /// The store.
  public var id: StoreID
  /// The server that serves it.
  public var server: ServerID
  /// Its place among the stores of its server.
  public var ordinal: Int
  /// Whether its chunks count.
  public var state: State
  /// Its share of the data in relation to others (`PlacementNode.weight`).
  public var weight: Int
  /// Bytes of its device.
  public var capacity: Int64
  /// Bytes that may still be written.
  public var available: Int64
  /// Chunks that it keeps.
  public var chunkCount: Int64
  /// When it was last known to be there, by the database's clock.
  public var lastSeen: Timestamp

  /// Makes a record of its fields.
  public init(
    id: StoreID, server: ServerID, ordinal: Int, state: State, weight: Int, capacity: Int64,
    available: Int64, chunkCount: Int64, lastSeen: Timestamp
  ) {
    self.id = id
    self.server = server
    self.ordinal = ordinal
    self.state = state
    self.weight = weight
    self.capacity = capacity
    self.available = available
    self.chunkCount = chunkCount
    self.lastSeen = lastSeen
  }
}

/// How much a store holds, as it said itself.
public struct StoreUsage: Hashable, Sendable {
  /// The store.
  public var id: StoreID
  /// Bytes of its device.
  public var capacity: Int64
  /// Bytes that may still be written.
  public var available: Int64
  /// Chunks that it keeps.
  public var chunkCount: Int64

  /// Makes a record of its fields.
  public init(id: StoreID, capacity: Int64, available: Int64, chunkCount: Int64) {
    self.id = id
    self.capacity = capacity
    self.available = available
    self.chunkCount = chunkCount
  }
}

/// All servers and stores at one moment.
public struct Membership: Hashable, Sendable {
  /// Raised by every change that matters to where chunks go or how stores are reached.
  public var ringVersion: Int64
  /// The database's time.
  public var time: Timestamp
  /// The servers by id, those that left included.
  public var servers: [StorageServerRecord]
  /// The stores by server and ordinal, those that left included.
  public var stores: [StoreRecord]

  /// Makes a membership of its fields.
  public init(
    ringVersion: Int64, time: Timestamp, servers: [StorageServerRecord], stores: [StoreRecord]
  ) {
    self.ringVersion = ringVersion
    self.time = time
    self.servers = servers
    self.stores = stores
  }
}

/// A process that writes, as the others see it.
public struct WriterRecord: Hashable, Sendable {
  /// Its epoch.
  public var epoch: UInt64
  /// When its lease ends unless it is renewed, by the database's clock.
  public var leaseEnd: Timestamp
  /// The ring that all its writes go by.
  public var ringVersion: Int64
  /// When the oldest of its reads began; nil when none ran at its last renewal.
  public var oldestRead: Timestamp?

  /// Makes a record of its fields.
  public init(epoch: UInt64, leaseEnd: Timestamp, ringVersion: Int64, oldestRead: Timestamp?) {
    self.epoch = epoch
    self.leaseEnd = leaseEnd
    self.ringVersion = ringVersion
    self.oldestRead = oldestRead
  }
}

/// What the metadata says of an extent whose chunk was found in a store.
public enum ExtentStanding: Hashable, Sendable {
  /// It is owned; which store holds which chunk.
  case owned(stores: [StoreID])
  /// It was deleted, and a tombstone waits; which store held which chunk.
  case dead(stores: [StoreID])
  /// It is in quarantine; where each chunk was found, by index, nil where none was.
  case quarantined(stores: [StoreID?])
  /// It is a part of a snapshot of the metadata that no snapshot names, nor will.
  case abandoned
  /// Nothing names it, and its writer can commit no more.
  case garbage
  /// Nothing names it, and the database does not know its writer, which so can commit nothing: it is
  /// of before a rebuild.
  case orphaned
  /// Nothing names it yet.
  case unknown
}
