public import Base

extension SQLMetadataStore: ClusterMetadata {
  private enum SQL {
    static let addServer = SQLStatement(
      """
      INSERT INTO storage_servers(id, address, zone, state, version, heartbeat_ms, joined_ms)
      VALUES($1, $2, $3, 0, $4, $5, $6)
      """)
    static let updateServer = SQLStatement(
      """
      UPDATE storage_servers SET address = $1, zone = $2, state = $3, version = $4,
        heartbeat_ms = $5
      WHERE id = $6
      """)
    static let addStore = SQLStatement(
      """
      INSERT INTO stores(id, server_id, ordinal, state, weight, capacity, available, chunk_count,
        updated_ms)
      VALUES($1, $2, $3, 0, $4, 0, 0, 0, $5)
      """)
    static let moveStore = SQLStatement(
      "UPDATE stores SET server_id = $1, ordinal = $2, state = $3 WHERE id = $4")
    static let setServerState = SQLStatement(
      "UPDATE storage_servers SET state = $1 WHERE id = $2")
    static let setStoreState = SQLStatement("UPDATE stores SET state = $1 WHERE id = $2")
    static let setWeight = SQLStatement("UPDATE stores SET weight = $1 WHERE id = $2")
  }

  /// A transaction that changes members, one at a time; `body` says whether the ring changed.
  private func changeMembers<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> (result: T, isNewRing: Bool)
  ) async throws -> T {
    try await leasedWrite(cost: 1024) { session in
      let ring = try await MembershipRows.lockRing(session)
      let (result, isNewRing) = try await body(session)
      if isNewRing { try await MembershipRows.raiseRing(from: ring, session) }
      return result
    }
  }

  private static func server(
    _ id: ServerID, _ session: any SQLSession
  ) async throws -> StorageServerRecord? {
    try await session.query(MembershipRows.server, [.bytes(id.bytes)]).first
      .map(MembershipRows.server)
  }

  private static func store(
    _ id: StoreID, _ session: any SQLSession
  ) async throws -> StoreRecord? {
    try await session.query(MembershipRows.store, [.bytes(id.bytes)]).first
      .map(MembershipRows.store)
  }

  private static func stores(
    of server: ServerID, _ session: any SQLSession
  ) async throws -> [StoreRecord] {
    try await session.query(MembershipRows.allStores, []).map(MembershipRows.store)
      .filter { $0.server == server }
  }

  /// Adds a storage server and its stores, or brings what is known of them up to date (address,
  /// zone, version, new stores). A server that had left comes back as active; its stores count
  /// again once they were compared with the metadata. Weights are taken for new stores only.
  ///
  /// Stores that are gone (`replacedStores`) leave, those in their place get their weights; so does
  /// the server that a new one is `replacing`, with its stores. What has left already stays so.
  ///
  /// Throws `alreadyExists` when one of the stores belongs to another server that has not left.
  public func register(_ server: StorageServerRegistration) async throws {
    try await changeMembers { session in
      let now = SQLValue.int(try await session.now().milliseconds)
      let id = SQLValue.bytes(server.id.bytes)
      var isNewRing = true
      var isNew = true
      if let known = try await Self.server(server.id, session) {
        isNewRing =
          known.address != server.address || known.zone != server.zone || known.state == .left
        let state = known.state == .left ? .active : known.state
        isNew = known.state == .left
        try await session.run(
          SQL.updateServer,
          [
            .text(server.address), .text(server.zone), .int(state.rawValue),
            .text(server.version), now, id,
          ])
      } else {
        try await session.run(
          SQL.addServer,
          [id, .text(server.address), .text(server.zone), .text(server.version), now, now])
      }
      for (ordinal, store) in server.stores.enumerated() {
        let place = SQLValue.int(Int64(ordinal))
        guard let known = try await Self.store(store.id, session) else {
          try await session.run(
            SQL.addStore,
            [.bytes(store.id.bytes), id, place, .int(Int64(max(store.weight, 1))), now])
          isNewRing = true
          continue
        }
        if known.server != server.id, known.state != .left {
          let other = try await Self.server(known.server, session)
          guard other?.state == .left else { throw MetadataError.alreadyExists("store") }
        }
        let isUnchanged =
          known.server == server.id && known.ordinal == ordinal && known.state != .left
        if isUnchanged { continue }
        // What left may hold anything by now: it counts once it was compared with the metadata.
        let state: StoreRecord.State =
          known.server == server.id && known.state != .left ? known.state : .lost
        try await session.run(
          SQL.moveStore, [id, place, .int(state.rawValue), .bytes(store.id.bytes)])
        isNewRing = true
      }
      for replaced in server.replacedStores {
        guard let old = try await Self.store(replaced.old, session), old.server == server.id,
          old.state != .left, !server.stores.contains(where: { $0.id == old.id }),
          let new = try await Self.store(replaced.new, session), new.server == server.id,
          new.state == .active
        else { continue }
        try await Self.replace(old, new, session)
        isNewRing = true
      }
      if isNew, let old = server.replacing, old != server.id,
        let known = try await Self.server(old, session), known.state != .left
      {
        try await Self.replace(old, by: server.id, session)
      }
      return ((), isNewRing)
    }
  }

  /// All servers and stores.
  public func members() async throws -> Membership {
    try await driver.read { session in
      try await session.snapshot()
      return Membership(
        ringVersion: try await MembershipRows.ring(session), time: try await session.now(),
        servers: try await session.query(MembershipRows.allServers, [])
          .map(MembershipRows.server),
        stores: try await session.query(MembershipRows.allStores, []).map(MembershipRows.store))
    }
  }

  /// The number of the present ring.
  public func ringVersion() async throws -> Int64 {
    try await driver.read { session in try await MembershipRows.ring(session) }
  }

  /// Says what is wanted of a server; with `left` its stores leave too. Throws `notFound`.
  public func setServerState(
    _ id: ServerID, _ state: StorageServerRecord.State
  ) async throws {
    try await changeMembers { session in
      guard let known = try await Self.server(id, session) else {
        throw MetadataError.notFound("storage server")
      }
      guard known.state != state else { return ((), false) }
      try await Self.setState(of: id, state, session)
      return ((), true)
    }
  }

  private static func setState(
    of id: ServerID, _ state: StorageServerRecord.State, _ session: any SQLSession
  ) async throws {
    try await session.run(SQL.setServerState, [.int(state.rawValue), .bytes(id.bytes)])
    guard state == .left else { return }
    for store in try await stores(of: id, session) {
      try await session.run(
        SQL.setStoreState, [.int(StoreRecord.State.left.rawValue), .bytes(store.id.bytes)])
    }
  }

  /// Changes a store's weight. Throws `notFound`.
  public func setStoreWeight(_ id: StoreID, _ weight: Int) async throws {
    try await changeMembers { session in
      guard let known = try await Self.store(id, session) else {
        throw MetadataError.notFound("store")
      }
      guard known.weight != weight else { return ((), false) }
      try await session.run(SQL.setWeight, [.int(Int64(max(weight, 1))), .bytes(id.bytes)])
      return ((), true)
    }
  }

  /// Says whether a store's chunks count. Throws `notFound`.
  public func setStoreState(_ id: StoreID, _ state: StoreRecord.State) async throws {
    try await changeMembers { session in
      guard let known = try await Self.store(id, session) else {
        throw MetadataError.notFound("store")
      }
      guard known.state != state else { return ((), false) }
      try await session.run(SQL.setStoreState, [.int(state.rawValue), .bytes(id.bytes)])
      return ((), true)
    }
  }

  /// Marks stores of one server as lost, provided that no more than `limit` servers have lost stores
  /// then; false, and nothing is changed, when more would.
  public func declareLost(
    _ stores: [StoreID], of server: ServerID, limit: Int
  ) async throws -> Bool {
    try await changeMembers { session in
      let all = try await session.query(MembershipRows.allStores, []).map(MembershipRows.store)
      let lost = Set(all.filter { $0.state == .lost }.map(\.server)).union([server])
      guard lost.count <= limit else { return (false, false) }
      var isNewRing = false
      for store in all
      where store.server == server && store.state == .active && stores.contains(store.id) {
        try await session.run(
          SQL.setStoreState, [.int(StoreRecord.State.lost.rawValue), .bytes(store.id.bytes)])
        isNewRing = true
      }
      return (true, isNewRing)
    }
  }

  /// Has a store take the place of another, which leaves: it gets its weight. Throws `notFound`, and
  /// `preconditionFailed` unless the new one is active.
  public func replaceStore(_ old: StoreID, with new: StoreID) async throws {
    try await changeMembers { session in
      guard let before = try await Self.store(old, session),
        let after = try await Self.store(new, session)
      else { throw MetadataError.notFound("store") }
      guard old != new, after.state == .active else { throw MetadataError.preconditionFailed }
      try await Self.replace(before, after, session)
      return ((), true)
    }
  }

  private static func replace(
    _ old: StoreRecord, _ new: StoreRecord, _ session: any SQLSession
  ) async throws {
    try await session.run(
      SQL.setStoreState, [.int(StoreRecord.State.left.rawValue), .bytes(old.id.bytes)])
    try await session.run(
      SQL.setWeight, [.int(Int64(old.weight)), .bytes(new.id.bytes)])
  }

  /// Has a server take the place of another, which leaves with its stores: the new one's stores get
  /// their weights, in order. Throws `notFound`, and `preconditionFailed` unless the new one is
  /// active.
  public func replaceServer(_ old: ServerID, with new: ServerID) async throws {
    try await changeMembers { session in
      guard try await Self.server(old, session) != nil,
        let after = try await Self.server(new, session)
      else { throw MetadataError.notFound("storage server") }
      guard old != new, after.state == .active else { throw MetadataError.preconditionFailed }
      try await Self.replace(old, by: new, session)
      return ((), true)
    }
  }

  private static func replace(
    _ old: ServerID, by new: ServerID, _ session: any SQLSession
  ) async throws {
    let former = try await stores(of: old, session).filter { $0.state != .left }
    let present = try await stores(of: new, session).filter { $0.state == .active }
    for (before, after) in zip(former, present) { try await replace(before, after, session) }
    try await setState(of: old, .left, session)
  }
}
