import Base
import Glibc
import Metadata
import ObjectEngine
import Runtime
import TestSupport

extension SimulatedClient {
  /// The current version of a key; nil for none.
  func lookUp(_ key: Int, _ gateway: SimulatedGateway) async throws -> ObjectVersion? {
    let name = Self.key(key)
    let isTrusting = world.plan.mutant == .staleLookUps && gateway.slot == 1
    if isTrusting, let known = gateway.cache[name] { return known }
    let found = try await gateway.metadata.lookUp(
      bucket: bucket.name, tenant: bucket.tenant, key: name, versionID: nil, withContent: true)
    if isTrusting { gateway.cache[name] = .some(found.version) }
    return found.version
  }

  /// Reads a key, all of it or a part, and compares every byte.
  func get(_ key: Int, _ gateway: SimulatedGateway, whole: Bool = false) async {
    let invoked = world.scheduler.stamp()
    // A read that a write overtakes looks again, as the edges do.
    for attempt in 0..<3 {
      do {
        let version = try await lookUp(key, gateway)
        let seen = world.scheduler.stamp()
        let value = try version.map { try known($0.etag) } ?? 0
        if let version { try await compare(version, value, gateway, whole: whole) }
        world.history.add(key, .read(value), from: invoked, to: seen)
        return world.note("\(number) get of \(key) by \(gateway.slot): value \(value)")
      } catch EngineError.metadata(.noSuchVersion) where attempt < 2 {
        continue
      } catch {
        world.note("\(number) get of \(key) by \(gateway.slot): \(error)")
        if whole || !gateway.process.isDead { unexpected(error, "get", gateway) }
        if whole { world.violation("key \(key) cannot be read in the end: \(error)") }
        return
      }
    }
  }

  private struct UnknownETag: Error { var etag: String }

  private func known(_ etag: String) throws -> Int {
    guard let value = contents.value(etag: etag) else {
      world.violation("an ETag that nobody wrote: \(etag)")
      throw UnknownETag(etag: etag)
    }
    return value
  }

  private func compare(
    _ version: ObjectVersion, _ value: Int, _ gateway: SimulatedGateway, whole: Bool
  ) async throws {
    let wanted = SimulationContents.bytes(contents.content(of: value))
    guard Int(version.size) == wanted.count else {
      return world.violation("value \(value) has \(version.size) of \(wanted.count) bytes")
    }
    if wanted.isEmpty { return }
    if version.extentCount == 0 {
      let bytes = try gateway.engine.inlineContent(version)
      if bytes != wanted { world.violation("inline value \(value) reads back wrong") }
      return
    }
    var range = 0..<wanted.count
    if !whole, world.pick(3) == 0 {
      let start = world.pick(wanted.count)
      range = start..<start + 1 + world.pick(wanted.count - start)
    }
    let read = try await gateway.engine.read(
      version, Int64(range.lowerBound)..<Int64(range.upperBound))
    var position = range.lowerBound
    var isRight = true
    // Some take longer than the delay of deletion: where that is what is tried, all that the leader
    // does not know of by itself.
    let isTried =
      world.plan.mutant == .noDeletionDelay && gateway.work.cluster?.leadership.lease == nil
    let isSlow = world.plan.mutant == .noDeletionDelay ? isTried : world.pick(4) == 0
    let isLong = isTried || world.chance(40)
    let longest = isSlow && !whole && isLong ? 150_000 : 5000
    try await read.stream { buffer, piece in
      isRight = isRight && Self.isSame(buffer, piece, wanted, position)
      position += piece.count
      if isSlow {
        try await world.clock.sleep(for: .milliseconds(world.pick(longest)))
      }
    }
    if !isRight || position != range.upperBound {
      world.violation("value \(value) reads back wrong in \(range)")
    }
  }

  private static func isSame(
    _ buffer: AlignedBuffer, _ piece: Range<Int>, _ wanted: [UInt8], _ position: Int
  ) -> Bool {
    guard position + piece.count <= wanted.count else { return false }
    return buffer.withBytes(piece) { found in
      wanted.withUnsafeBytes { wanted in
        guard let found = found.baseAddress, let wanted = wanted.baseAddress else { return true }
        return memcmp(found, wanted + position, piece.count) == 0
      }
    }
  }

  /// Lists all keys: each is there, or not, as one read of it might have found it.
  func list(_ gateway: SimulatedGateway) async {
    let invoked = world.scheduler.stamp()
    do {
      let page = try await gateway.metadata.list(ListRequest(bucket: bucket.id, limit: 100))
      let seen = world.scheduler.stamp()
      var found: [[UInt8]: Int] = [:]
      for case .object(let object) in page.rows { found[object.key] = try known(object.etag) }
      for key in 0..<world.plan.keys {
        let value = found.removeValue(forKey: Self.key(key)) ?? 0
        world.history.add(key, .read(value), from: invoked, to: seen)
      }
      if !found.isEmpty { world.violation("a list has keys that nobody wrote") }
      world.note("\(number) list by \(gateway.slot)")
    } catch {
      world.note("\(number) list by \(gateway.slot): \(error)")
      unexpected(error, "list", gateway)
    }
  }

  // MARK: Multipart

  /// Uploads an object in parts and completes it, or leaves it behind.
  func multipart(_ key: Int, _ gateway: SimulatedGateway) async {
    do {
      let upload = try await gateway.engine.createUpload(
        bucket: bucket, key: Self.key(key), attributes: ObjectAttributes(),
        storageClass: "STANDARD", owner: SimulationWorld.owner, algorithm: nil, type: nil)
      var parts: [UploadedPart] = []
      var pieces: [SimulationContents.Piece] = []
      for part in 1...1 + world.pick(4) {
        let piece = piece(1 + world.pick(260_000))
        pieces.append(piece)
        parts.append(
          try await gateway.engine.putPart(
            part, of: upload, bucket: bucket,
            from: SimulatedSource(SimulationContents.bytes(piece), world: world),
            algorithms: [.crc64nvme]))
      }
      if world.pick(5) == 0 { return world.note("\(number) upload of \(key) left behind") }
      let digests = pieces.flatMap { SimulationContents.md5(SimulationContents.bytes($0)) }
      let etag = "\(Hex.encode(SimulationContents.md5(digests)))-\(parts.count)"
      let value = contents.value(etag: etag, pieces)
      // Straight to the metadata, past the rule that parts have 5 MiB.
      let completion = UploadCompletion(
        upload: upload.id, bucket: bucket.id, key: Self.key(key), parts: parts,
        version: gateway.engine.writer.nextOpaqueID(), etag: etag, checksum: nil,
        condition: .none)
      await write("complete", key, value, .none, gateway) {
        do {
          _ = try await gateway.metadata.complete(completion)
        } catch let error as MetadataError {
          throw EngineError.metadata(error)
        }
      }
    } catch {
      world.note("\(number) upload of \(key) by \(gateway.slot): \(error)")
      if !gateway.process.isDead, !isUnknown(error, gateway) {
        unexpected(error, "upload", gateway)
      }
    }
  }
}
