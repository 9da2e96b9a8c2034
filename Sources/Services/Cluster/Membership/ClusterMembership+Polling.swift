import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Telemetry

extension ClusterMembership {
  typealias Answer = Result<StorageServerHealth, ChunkStoreError>

  /// Rounds that are further apart say that this process was paused or cut off meanwhile.
  var longestGap: Duration { configuration.heartbeatInterval * 3 }

  /// Whether a server does not answer.
  var isAnySilent: Bool {
    state.withLock { $0.sights.values.contains { $0.reason != nil } }
  }

  /// Whether there are fewer stores than an extent has chunks: others may have joined elsewhere.
  var isSmall: Bool { stores.all.count < width }

  /// Whether the members are to be read again, though no change was noticed.
  var isRefreshDue: Bool {
    let now = clock.now
    return state.withLock { state in
      state.lastRefresh.map { now - $0 >= configuration.refreshInterval } ?? true
    }
  }

  /// Asks every server how it is, tells the engine, and records what answered.
  ///
  /// `recordsUsage`: whether how much stores hold is recorded too. Throws what the metadata throws.
  func poll(recordsUsage: Bool) async throws {
    let answers = await answers()
    try Task.checkCancellation()
    let seen = note(answers)
    do {
      try await metadata.recordHeartbeats(servers: seen.servers, stores: seen.stores)
      if recordsUsage { try await recordUsage() }
    } catch {
      forgetObservation()
      throw error
    }
    noteRound()
  }

  private func answers() async -> [ServerID: Answer] {
    let connections = state.withLock { $0.connections }
    let limit = configuration.heartbeatInterval
    let sleeping = sleeping
    return await withTaskGroup(of: (ServerID, Answer).self) { group in
      // In the order of the servers: nothing depends on how they are hashed.
      for (id, connection) in connections.sorted(by: { $0.key < $1.key }) {
        group.addTask {
          (id, await Self.health(of: connection, within: limit, sleeping: sleeping))
        }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  private static func health(
    of connection: any StorageServerConnection, within limit: Duration,
    sleeping: any Clock<Duration>
  ) async -> Answer {
    await withTaskGroup(of: Answer?.self) { group in
      group.addTask {
        do throws(ChunkStoreError) {
          return .success(try await connection.health())
        } catch {
          return .failure(error)
        }
      }
      group.addTask {
        // Ends early when the answer came first.
        try? await sleeping.sleep(for: limit)
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first ?? .failure(.offline("no answer in time"))
    }
  }

  /// Takes note of answers; returns who is there.
  private func note(
    _ answers: [ServerID: Answer]
  ) -> (servers: [ServerID], stores: [StoreID]) {
    let now = clock.now
    return state.withLock { state in
      var servers: [ServerID] = []
      var present: [StoreID] = []
      for (id, answer) in answers {
        let (health, reason) = judge(answer, of: id)
        if state.sights[id]?.reason == nil, let reason {
          log.warning("a storage server does not answer", [("server", "\(id)"), ("error", reason)])
        } else if state.sights[id]?.reason != nil, reason == nil {
          log.info("a storage server answers again", [("server", "\(id)")])
        }
        state.sights[id] = Sight(health: health ?? state.sights[id]?.health, reason: reason)
        if health != nil { servers.append(id) }
        let reported = Dictionary(
          (health?.stores ?? []).map { ($0.id, $0.health.state) },
          uniquingKeysWith: { first, _ in first })
        for store in state.members?.stores ?? [] where store.server == id {
          let standing = reported[store.id] ?? .offline
          stores.observe(standing, of: store.id)
          if standing == .offline {
            if state.absentSince[store.id] == nil { state.absentSince[store.id] = now }
          } else {
            state.absentSince[store.id] = nil
            present.append(store.id)
          }
        }
      }
      return (servers, present)
    }
  }

  /// What an answer is worth: another server, or one of another installation, is none.
  private func judge(
    _ answer: Answer, of id: ServerID
  ) -> (health: StorageServerHealth?, reason: String?) {
    switch answer {
    case .failure(let error): (nil, "\(error)")
    case .success(let health) where health.server != id: (nil, "another server answers there")
    case .success(let health) where health.cluster != cluster:
      (nil, "a server of another installation answers there")
    case .success(let health): (health, nil)
    }
  }

  private func recordUsage() async throws {
    let (changed, versions) = state.withLock { state in
      var changed: [StoreUsage] = []
      var versions: [ServerID: String] = [:]
      for (id, sight) in state.sights {
        guard let health = sight.health, sight.reason == nil else { continue }
        if let known = state.members?.servers.first(where: { $0.id == id }),
          known.version != health.version
        {
          versions[id] = String(health.version.prefix(100))
        }
        for (store, health) in health.stores {
          let usage = StoreUsage(
            id: store, capacity: Int64(health.capacity), available: Int64(health.free),
            chunkCount: Int64(health.chunkCount))
          if state.usage[store] != usage { changed.append(usage) }
        }
      }
      return (changed, versions)
    }
    guard !changed.isEmpty || !versions.isEmpty else { return }
    try await metadata.recordUsage(changed, versions: versions)
    state.withLock { state in
      for usage in changed { state.usage[usage.id] = usage }
    }
  }

  // MARK: Who is away

  /// The database was out of reach: how long anyone is away is counted anew.
  func forgetObservation() {
    state.withLock { state in
      state.observation = nil
      state.absentSince = [:]
    }
  }

  /// A round came to its end; after a gap all is counted anew.
  private func noteRound() {
    let now = clock.now
    let limit = longestGap
    state.withLock { state in
      if let observation = state.observation, now - observation.last <= limit {
        state.observation = (observation.since, now)
      } else {
        state.observation = (now, now)
        state.absentSince = state.absentSince.mapValues { _ in now }
      }
    }
  }

  /// The stores that this process has looked for in vain for `grace`, without a gap, by server.
  ///
  /// None while the database or this process itself was away in that time.
  func absent(for grace: Duration) -> [ServerID: [StoreID]] {
    let now = clock.now
    let limit = longestGap
    return state.withLock { state in
      guard let observation = state.observation, let members = state.members,
        now - observation.since >= grace, now - observation.last <= limit
      else { return [:] }
      let milliseconds = grace.wholeMilliseconds
      var result: [ServerID: [StoreID]] = [:]
      for store in members.stores where store.state == .active {
        guard let since = state.absentSince[store.id], now - since >= grace else { continue }
        // As read before: other gateways may still have reached it.
        guard members.time.milliseconds &- store.lastSeen.milliseconds >= milliseconds else {
          continue
        }
        result[store.server, default: []].append(store.id)
      }
      return result
    }
  }
}
