import Base
import Glibc
import Metadata
import ObjectEngine
import Runtime
import TestSupport

/// One client that asks one thing after the other, of any gateway, and notes what it was told.
///
/// Confined to the thread of the simulation.
final class SimulatedClient: @unchecked Sendable {
  typealias Condition = SimulationHistory.Condition

  let number: Int
  let world: SimulationWorld
  let contents: SimulationContents
  let bucket: Bucket

  init(_ number: Int, world: SimulationWorld, contents: SimulationContents, bucket: Bucket) {
    self.number = number
    self.world = world
    self.contents = contents
    self.bucket = bucket
  }

  func run() async {
    for _ in 0..<world.plan.operations {
      await world.sleep(.milliseconds(world.pick(world.plan.pause)))
      await step()
    }
  }

  static func key(_ number: Int) -> [UInt8] { Array("key-\(number)".utf8) }

  /// A gateway that lives, when there is one.
  func gateway() async -> SimulatedGateway {
    while true {
      let slot = world.pick(world.gateways.count)
      if let gateway = world.gateways[slot] { return gateway }
      if let gateway = world.gateways.compactMap({ $0 }).first { return gateway }
      await world.sleep(.milliseconds(500))
    }
  }

  private func step() async {
    let gateway = await gateway()
    let key = world.pick(world.plan.keys)
    switch world.pick(100) {
    case 0..<34: await put(key, gateway)
    case 34..<62: await get(key, gateway)
    case 62..<70: await delete(key, gateway)
    case 70..<75: await list(gateway)
    case 75..<82: await copy(key, to: world.pick(world.plan.keys), gateway)
    case 82..<86: await replaceAttributes(key, gateway)
    default: await multipart(key, gateway)
    }
  }

  // MARK: Writes

  private func size() -> Int {
    switch world.pick(20) {
    case 0: 0
    case 1..<5: 1 + world.pick(16 << 10)
    case 5..<12: (16 << 10) + world.pick(200 << 10)
    case 12..<17: 300_000 + world.pick(400_000)
    case 17..<19: 1_048_320 - world.pick(2)
    default: 1_048_321 + world.pick(400_000)
    }
  }

  func piece(_ count: Int) -> SimulationContents.Piece {
    SimulationContents.Piece(seed: world.random.next(), count: count)
  }

  private func condition(_ key: Int) -> (Condition, WriteCondition) {
    switch world.pick(10) {
    case 0: return (.absent, .absent)
    case 1: return (.exists, .exists)
    case 2:
      let value = 1 + world.pick(8)
      guard let etag = contents.etag(of: value) else { return (.none, .none) }
      return (.matches(value), .matches(etag: etag))
    default: return (.none, .none)
    }
  }

  private func request(_ key: Int, _ condition: WriteCondition) -> PutRequest {
    PutRequest(
      bucket: bucket, key: Self.key(key), attributes: ObjectAttributes(),
      owner: SimulationWorld.owner, condition: condition, allowsInline: world.pick(4) > 0)
  }

  private func put(_ key: Int, _ gateway: SimulatedGateway) async {
    let piece = piece(size())
    let bytes = SimulationContents.bytes(piece)
    // The empty object is the same each time: its value may come back.
    let etag = Hex.encode(SimulationContents.md5(bytes))
    let value = contents.value(etag: etag, [piece])
    let (condition, wanted) = condition(key)
    let request = request(key, wanted)
    await write("put \(piece.count)", key, value, condition, gateway) {
      let source = SimulatedSource(bytes, world: self.world)
      let result = try await gateway.engine.put(request, from: source)
      if result.etag != etag { self.world.violation("a put of \(etag) answers \(result.etag)") }
    }
  }

  /// Does a write and notes what became of it.
  func write(
    _ what: String, _ key: Int, _ value: Int, _ condition: Condition, _ gateway: SimulatedGateway,
    isRefusalTelling: Bool = true, _ body: () async throws -> Void
  ) async {
    let invoked = world.scheduler.stamp()
    let history = world.history
    do {
      try await body()
      history.add(key, .write(value, condition), from: invoked, to: world.scheduler.stamp())
      world.note("\(number) \(what) of \(key) by \(gateway.slot) \(condition): value \(value)")
    } catch {
      world.note("\(number) \(what) of \(key) by \(gateway.slot) \(condition) \(value): \(error)")
      if isRefusal(error) {
        // Another version of the same value is refused as well.
        guard isRefusalTelling else { return }
        history.add(key, .refused(condition), from: invoked, to: world.scheduler.stamp())
      } else if isUnknown(error, gateway) {
        history.add(key, .write(value, condition), from: invoked, to: .max)
      } else {
        unexpected(error, what, gateway)
      }
    }
  }

  private func delete(_ key: Int, _ gateway: SimulatedGateway) async {
    let invoked = world.scheduler.stamp()
    do {
      let deleted = try await gateway.engine.delete(bucket: bucket.id, key: Self.key(key))
      world.history.add(
        key, .remove(existed: deleted.existed), from: invoked, to: world.scheduler.stamp())
      world.note("\(number) delete of \(key) by \(gateway.slot): \(deleted.existed)")
    } catch {
      world.note("\(number) delete of \(key) by \(gateway.slot): \(error)")
      if isUnknown(error, gateway) {
        world.history.add(key, .write(0, .none), from: invoked, to: .max)
      } else {
        unexpected(error, "delete", gateway)
      }
    }
  }

  private func copy(_ key: Int, to target: Int, _ gateway: SimulatedGateway) async {
    let began = world.scheduler.stamp()
    guard let version = try? await lookUp(key, gateway) else { return }
    guard let source = contents.value(etag: version.etag) else {
      return world.violation("key \(key) has an ETag that nobody wrote: \(version.etag)")
    }
    world.history.add(key, .read(source), from: began, to: world.scheduler.stamp())
    let content = contents.content(of: source)
    let etag = Hex.encode(SimulationContents.md5(SimulationContents.bytes(content)))
    let value = contents.value(etag: etag, content)
    let request = request(target, .none)
    await write("copy of \(key)", target, value, .none, gateway) {
      _ = try await gateway.engine.copy(version, to: request)
    }
  }

  /// A copy of a key onto itself, with other metadata: its content stays, whoever comes between.
  private func replaceAttributes(_ key: Int, _ gateway: SimulatedGateway) async {
    guard let version = try? await lookUp(key, gateway),
      let value = contents.value(etag: version.etag)
    else { return }
    await write("new metadata", key, value, .matches(value), gateway, isRefusalTelling: false) {
      _ = try await gateway.engine.replaceAttributes(
        of: version, attributes: ObjectAttributes(), storageClass: "STANDARD")
    }
  }

  // MARK: Outcomes

  private func isRefusal(_ error: any Error) -> Bool {
    switch error {
    case EngineError.metadata(.preconditionFailed), EngineError.metadata(.noSuchKey): true
    default: false
    }
  }

  /// Whether a write that failed so may have come about: a gateway that died tells nothing.
  func isUnknown(_ error: any Error, _ gateway: SimulatedGateway) -> Bool {
    if gateway.process.isDead { return true }
    if case EngineError.metadata(.unknownOutcome) = error { return true }
    return false
  }

  /// An error that changed nothing: there must have been a reason for it.
  func unexpected(_ error: any Error, _ what: String, _ gateway: SimulatedGateway) {
    switch error {
    case EngineError.corrupt: world.violation("\(what): \(error)")
    // Replaced or deleted while it was read.
    case EngineError.metadata(.noSuchVersion): break
    case EngineError.unreadable, EngineError.tooFewStores:
      if world.isServed(gateway) {
        world.violation("\(what) failed, and enough servers were never harmed: \(error)")
      }
    default:
      if world.plan.weather == .calm { world.violation("\(what) failed: \(error)") }
    }
  }
}
