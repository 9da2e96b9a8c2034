public import Base

/// Storage servers and their stores, as all gateways see them.
public protocol MembershipStore: Sendable {
  /// Adds a storage server and its stores, or brings what is known of them up to date (address,
  /// zone, version, new stores). A server that had left comes back as active; its stores count
  /// again once they were compared with the metadata. Weights are taken for new stores only.
  ///
  /// Throws `alreadyExists` when one of the stores belongs to another server that has not left.
  func register(_ server: StorageServerRegistration) async throws

  /// All servers and stores.
  func members() async throws -> Membership

  /// The number of the present ring.
  func ringVersion() async throws -> Int64

  /// Records that servers answered and that stores were there, by the database's time.
  func recordHeartbeats(servers: [ServerID], stores: [StoreID]) async throws

  /// Records how much stores hold, and the releases that servers run.
  func recordUsage(_ stores: [StoreUsage], versions: [ServerID: String]) async throws

  /// Says what is wanted of a server; with `left` its stores leave too. Throws `notFound`.
  func setServerState(_ id: ServerID, _ state: StorageServerRecord.State) async throws

  /// Changes a store's weight. Throws `notFound`.
  func setStoreWeight(_ id: StoreID, _ weight: Int) async throws

  /// Says whether a store's chunks count. Throws `notFound`.
  func setStoreState(_ id: StoreID, _ state: StoreRecord.State) async throws

  /// Marks stores of one server as lost, provided that no more than `limit` servers have lost stores
  /// then; false, and nothing is changed, when more would.
  func declareLost(_ stores: [StoreID], of server: ServerID, limit: Int) async throws -> Bool

  /// Has a store take the place of another, which leaves: it gets its weight. Throws `notFound`, and
  /// `preconditionFailed` unless the new one is active.
  func replaceStore(_ old: StoreID, with new: StoreID) async throws

  /// Has a server take the place of another, which leaves with its stores: the new one's stores get
  /// their weights, in order. Throws `notFound`, and `preconditionFailed` unless the new one is
  /// active.
  func replaceServer(_ old: ServerID, with new: ServerID) async throws

  /// Has those of the next `limit` queued repairs behind `after` tried again that were put off:
  /// there are more stores to write to, or to read from. Returns behind which to go on; nil at the
  /// end.
  func hastenRepairs(after: ExtentID?, limit: Int) async throws -> ExtentID?

  /// Keeps an extent that nothing names in quarantine, or adds what was found of it; false, and
  /// nothing is kept, when something names it.
  func quarantine(_ item: QuarantinedExtent) async throws -> Bool

  /// Has the record of an extent in quarantine say that a chunk lies in `store`, provided that it
  /// says `former` so far, nil for nowhere; false, and nothing is changed, when it does not.
  func moveQuarantined(
    _ id: ExtentID, chunk: UInt8, from former: StoreID?, to store: StoreID
  ) async throws -> Bool

  /// What the metadata says of each of the extents.
  func standings(of extents: [ExtentID]) async throws -> [ExtentID: ExtentStanding]
}

/// All that a gateway of a cluster asks of its metadata.
public protocol ClusterMetadata: MetadataStore, MembershipStore, LeaseStore, WriterLeaseStore {}
