import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import TestSupport

extension SimulationWorld {
  /// Ends all harm. All gateways start anew, so that what they left behind is found.
  func heal(_ bucket: Bucket, _ contents: SimulationContents) async {
    await waitForLater()
    isHealed = true
    for server in servers where !server.isGone {
      server.disk.heal()
      server.crash(power: plan.weather == .calm ? nil : SeededRandom(seed: random.next()))
      server.start()
      if server.life == nil { violation("store \(server.id.low) does not open again") }
    }
    await checkRecovery(bucket, contents)
    for slot in gateways.indices {
      guard let gateway = gateways[slot] else { continue }
      gateways[slot] = nil
      gateway.crash()
      await gateway.end()
    }
    if plan.losesDatabase {
      await loseDatabase()
      await waitForLater()
    }
    // No client waits any more, so that none of the dead holds anything.
    for gateway in lives { checkBuffers(gateway) }
    for slot in gateways.indices { await startGateway(slot) }
    if loss != nil { await registerServers() }
    note("healed")
  }

  private func checkBuffers(_ gateway: SimulatedGateway) {
    if gateway.engine.buffers.used != 0 {
      violation("gateway \(gateway.slot) has \(gateway.engine.buffers.used) bytes of buffers left")
    }
    if gateway.engine.reads.oldest != nil {
      violation("gateway \(gateway.slot) has reads that never ended")
    }
  }

  /// Lets the background workers do their work until there is no more, for a day and beyond.
  func settle(_ contents: SimulationContents) async {
    if loss != nil {
      await sleep(.seconds(120))
      await reconcile()
      await drainQuarantine()
    }
    // Drains end whatever is in quarantine, or left of a snapshot that was given up.
    await settleOnce()
    if loss != nil {
      await handleQuarantine(contents)
      await settleOnce()
    }
    for _ in 0..<2 { await requireSnapshot() }
    guard let gateway = gateways[0], let other = gateways[1] else { return violation("no gateway") }
    let leader = gateway.work.cluster?.leadership.lease == nil ? other : gateway
    let scrub = leader.work.scrub
    scrub.request()
    for _ in 0..<200 where scrub.report.state == .running { await sleep(.seconds(10)) }
    let report = scrub.report
    if report.unreadableExtents > 0 || report.corruptInlineObjects > 0 {
      violation("a scrub finds extents beyond repair: \(report)")
    }
    // One gateway alone compares all stores with the metadata meanwhile.
    let idle = leader.slot == 0 ? other : gateway
    gateways[idle.slot] = nil
    await idle.end()
    idle.crash()
    checkBuffers(idle)
    await sleep(Self.day + .seconds(120))
    await startGateway(idle.slot)
    await settleOnce()
    note("settled")
  }

  /// A snapshot is made, and the change log goes on from it.
  private func requireSnapshot() async {
    let before = (try? await observer.snapshots())?.last { $0.isComplete }?.number ?? 0
    for _ in 0..<60 {
      await sleep(.seconds(5))
      let leader = gateways.compactMap { $0 }.first { $0.work.cluster?.leadership.lease != nil }
      guard let leader, let status = try? await leader.recovery.status() else { continue }
      let made = status.snapshots.last { $0.isComplete }?.number ?? 0
      if status.isLogInForce, made > before { return }
      leader.recovery.requestSnapshot()
    }
    violation("no snapshot is made in the end, or no change log is in force")
  }

  private func settleOnce() async {
    for _ in 0..<60 {
      await sleep(.seconds(30))
      await removeMembers()
      if await isQuiet() { return }
    }
    violation("background work does not come to an end: \(await restOfWork())")
  }

  /// What operators do: servers that are drained leave, and so do those that never come back.
  private func removeMembers() async {
    guard let administration = gateways[0]?.administration else { return }
    for status in (try? await administration.servers()) ?? [] {
      guard let server = servers.first(where: { $0.serverID == status.record.id }) else { continue }
      if status.isDrained {
        note("server \(server.id.low) is drained and leaves")
        await checkEmpty(server)
        try? await administration.remove(status.record.id, force: false)
      } else if status.health == .lost, server.isGone {
        note("server \(server.id.low) is gone for good")
        try? await administration.remove(status.record.id, force: true)
      }
    }
  }

  private func checkEmpty(_ server: SimulatedServer) async {
    guard let store = server.life?.store else { return }
    let chunks = (try? await store.list(from: nil, limit: 10))?.chunks ?? []
    if !chunks.isEmpty { violation("server \(server.id.low) is drained and has \(chunks)") }
  }

  private func isQuiet() async -> Bool { await restOfWork().isEmpty }

  /// What is still to be done, in words.
  private func restOfWork() async -> String {
    var rest: [String] = []
    do {
      let counts = try await observer.counts()
      if counts.tombstones > 0 || counts.uploads > 0 || counts.repairs > 0 {
        rest.append("\(counts)")
        rest += try await observer.repairs(limit: 3).map { "\($0.chunks) \($0.reason)" }
      }
      let unswept = try await observer.unsweptEpochs()
      if !unswept.isEmpty { rest.append("unswept \(unswept)") }
      let live = try await observer.liveWriters().map(\.epoch)
      if live != gateways.compactMap({ $0?.epoch }).sorted() { rest.append("writers \(live)") }
      let members = try await observer.members()
      rest += members.servers.filter { $0.state == .draining }.map { "\($0.address) drains" }
      rest += members.stores.filter { $0.state == .lost }.map { "store \($0.id.low) is lost" }
      if let status = try await gateways[0]?.administration.rebalance(),
        !status.isBalanced || status.queuedRing < status.ringVersion
      {
        rest.append("\(status)")
      }
    } catch {
      rest.append("\(error)")
    }
    return rest.joined(separator: "; ")
  }

  /// Compares what clients were told and what the metadata says with what is there.
  func check(_ bucket: Bucket, _ contents: SimulationContents) async {
    let reader = SimulatedClient(99, world: self, contents: contents, bucket: bucket)
    for gateway in gateways.compactMap({ $0 }) {
      for key in 0..<plan.keys { await reader.get(key, gateway, whole: true) }
      await reader.list(gateway)
    }
    for key in history.impossible(loss: loss?.stamp) {
      violation("key \(key): no order of its operations explains the answers")
    }
    await checkChunks()
    await checkUsage(bucket)
  }

  private func checkChunks() async {
    guard let extents = try? await allExtents(), let snapshots = try? await observer.snapshots()
    else { return violation("no list of extents") }
    var wanted: [StoreID: Set<ChunkID>] = [:]
    for extent in extents {
      for (index, store) in extent.stores.enumerated() {
        wanted[store, default: []].insert(ChunkID(extent: extent.id, index: UInt8(index)))
        if await !isGood(extent, index) {
          violation("chunk \(index) of \(extent.id) is not what was written")
        }
      }
      if Set(extent.stores).count < extent.stores.count {
        violation("extent \(extent.id) is not spread")
      }
      if extent.missing != 0 { violation("extent \(extent.id) is said to lack chunks") }
    }
    for server in servers {
      let found = Set(await chunks(of: server))
      for id in found.subtracting(wanted[server.id] ?? []).sorted()
      where !SystemExtentID.isReserved(id.extent) || isNeedless(id, snapshots) {
        violation("store \(server.id.low) has chunk \(id), which nothing names")
      }
    }
  }

  /// A piece of the log is removed once two complete snapshots make it needless; of what is left of
  /// former snapshots, the next one sees to that.
  private func isNeedless(_ chunk: ChunkID, _ snapshots: [StoredSnapshot]) -> Bool {
    let kept = snapshots.filter(\.isComplete).suffix(2)
    guard kept.count == 2, let oldest = kept.first,
      case .changeLog(let last)? = SystemExtentID(chunk.extent)
    else { return false }
    return last <= kept.reduce(oldest.floor) { min($0, $1.floor) }
  }

  private func checkUsage(_ bucket: Bucket) async {
    guard let usage = try? await observer.usage(of: bucket.id),
      let page = try? await observer.list(ListRequest(bucket: bucket.id, limit: 1000))
    else { return violation("no usage") }
    var bytes: Int64 = 0
    for case .object(let object) in page.rows { bytes += object.size }
    if usage.objects != Int64(page.rows.count) || usage.bytes != bytes {
      violation("usage \(usage) of \(page.rows.count) objects with \(bytes) bytes")
    }
  }

  /// Ends the gateways; nothing of them may be left.
  func end() async {
    await waitForLater()
    for slot in gateways.indices {
      guard let gateway = gateways[slot] else { continue }
      gateways[slot] = nil
      await gateway.end()
      checkBuffers(gateway)
    }
    countGuards()
    // What still writes late is to end.
    if plan.mutant == .earlyLog { await sleep(.seconds(30)) }
    // They know this world, which knew them; and their log knows them, which they know.
    for gateway in lives { gateway.metadata.setChangeSink(nil) }
    lives = []
  }
}
