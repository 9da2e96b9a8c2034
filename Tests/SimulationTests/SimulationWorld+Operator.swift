import Base
import Metadata
import ObjectEngine
import Recovery

/// What an operator does once a database was made again.
extension SimulationWorld {
  /// Storage servers tell who they are, as they do every few minutes.
  func registerServers() async {
    for server in servers where joined.contains(server.serverID) && !server.isGone {
      while true {
        guard let gateway = gateways.compactMap({ $0 }).first else { return }
        do {
          try await gateway.membership.register(Self.registration(server))
          break
        } catch {
          await sleep(.seconds(1))
        }
      }
    }
  }

  /// Compares the stores with the metadata again, now that all of them are back.
  func reconcile() async {
    guard let gateway = gateways.compactMap({ $0 }).first else { return }
    do {
      let report = try await gateway.recovery.reconcile()
      if !report.isComplete { violation("a store does not answer: \(report)") }
    } catch {
      violation("the stores cannot be compared: \(error)")
    }
  }

  /// Drains a server that holds something in quarantine; in half of the runs the gateway that leads
  /// dies between the first copy and its record.
  func drainQuarantine() async {
    guard let loss, let gateway = gateways.compactMap({ $0 }).first,
      let members = try? await observer.members()
    else { return }
    let active = Set(members.servers.filter { $0.state == .active }.map(\.id))
    let staying = servers.filter { active.contains($0.serverID) && $0.life != nil }
    let holders = staying.filter { server in loss.survivors.contains { $0.server === server } }
    guard staying.count > Self.scheme.total, !holders.isEmpty else { return }
    let server = holders[pick(holders.count)]
    note("server \(server.id.low), which has something in quarantine, is drained")
    if pick(2) == 0 { onQuarantineCopy = { [self] in killLeader() } }
    do {
      try await gateway.administration.drain(server.serverID)
    } catch {
      violation("no drain of \(server.id.low): \(error)")
    }
  }

  private func killLeader() {
    let slot = gateways.indices.first {
      gateways[$0]?.work.cluster?.leadership.lease != nil
    }
    guard let slot, let gateway = gateways[slot] else { return }
    note("gateway \(slot) dies, which moves what is in quarantine")
    gateways[slot] = nil
    gateway.crash()
    later { [self] in
      await gateway.end()
      await startGateway(slot)
    }
  }

  /// What is in quarantine is still there, where the record says. Then it becomes an object of
  /// another bucket, or is given up.
  func handleQuarantine(_ contents: SimulationContents) async {
    guard let loss, let gateway = gateways.compactMap({ $0 }).first else { return }
    for (chunk, server) in loss.survivors where !server.isGone && rotten[chunk] == nil {
      let item = try? await observer.quarantined(chunk.extent)
      let places = item?.stores ?? []
      let place = places.indices.contains(Int(chunk.index)) ? places[Int(chunk.index)] : nil
      let holder = place.flatMap { self.server($0) }
      if (try? await holder?.requireStore().verify(chunk)) == nil {
        violation(
          """
          chunk \(chunk) was in quarantine at \(server.id.low) and is gone from \
          \(holder.map { "\($0.id.low)" } ?? "everywhere")
          """)
      }
      if holder !== server, holder != nil { note("chunk \(chunk) in quarantine has moved") }
    }
    do {
      for item in try await gateway.recovery.quarantined(after: nil, limit: 10_000) {
        let isWanted = pick(2) == 0 && item.isReadable
        if isWanted, try await adopt(item, gateway, contents) { continue }
        try await gateway.recovery.drop(item.id)
      }
    } catch {
      violation("the quarantine cannot be handled: \(error)")
    }
  }

  /// Makes an object of it; false where too few of its chunks are there.
  private func adopt(
    _ item: QuarantinedExtent, _ gateway: SimulatedGateway, _ contents: SimulationContents
  ) async throws -> Bool {
    let key = Array("\(item.id)".utf8)
    if try await gateway.metadata.bucket(named: "adopted", tenant: 1) == nil {
      _ = try await gateway.metadata.createBucket(
        name: "adopted", tenant: 1, owner: Self.owner, purpose: .s3)
    }
    do {
      _ = try await gateway.recovery.adopt(item.id, bucket: "adopted", key: key)
    } catch AdoptionError.unreadable {
      return false
    }
    let found = try await gateway.metadata.lookUp(
      bucket: "adopted", tenant: 1, key: key, versionID: nil, withContent: true)
    guard let version = found.version else {
      violation("extent \(item.id) was adopted and is not there")
      return true
    }
    let digest = Hex.encode(SimulationContents.md5(try await bytes(of: version, gateway)))
    if digest != version.etag {
      violation("extent \(item.id) was adopted and reads back wrong")
    }
    note("extent \(item.id) is adopted, \(version.size) bytes")
    return true
  }

  private func bytes(
    of version: ObjectVersion, _ gateway: SimulatedGateway
  ) async throws -> [UInt8] {
    if version.size == 0 { return [] }
    if version.extentCount == 0 { return try gateway.engine.inlineContent(version) }
    var result: [UInt8] = []
    let read = try await gateway.engine.read(version, 0..<version.size)
    try await read.stream { buffer, piece in result += buffer.bytes(piece) }
    return result
  }
}
