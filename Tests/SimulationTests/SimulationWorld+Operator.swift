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

  /// Compares the stores with the metadata again, now that all of them are back; then what is in
  /// quarantine becomes an object of another bucket, or is given up.
  func handleQuarantine(_ contents: SimulationContents) async {
    guard let loss, let gateway = gateways.compactMap({ $0 }).first else { return }
    for (chunk, server) in loss.survivors where !server.isGone {
      if (try? await server.requireStore().stat(chunk)) == nil, rotten[chunk] == nil {
        violation("chunk \(chunk) of \(server.id.low) was in quarantine and is gone")
      }
    }
    do {
      let report = try await gateway.recovery.reconcile()
      if !report.isComplete { violation("a store does not answer: \(report)") }
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
