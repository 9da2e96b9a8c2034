import Base
import ChunkStore
import Disk
import Metadata
import Runtime
import TestSupport

/// Does the harm of a run, and ends it after a while. Confined to the thread of the simulation.
final class SimulationNemesis: @unchecked Sendable {
  let world: SimulationWorld
  private(set) var isOver = false
  private var strikes = 0
  /// From when on the database is to be lost; never where that comes at the end, or not at all.
  private let lossStrike: Int

  init(_ world: SimulationWorld) {
    self.world = world
    lossStrike = world.plan.losesDatabase && world.pick(3) > 0 ? 2 + world.pick(8) : .max
  }

  /// No new harm from now on.
  func stop() { isOver = true }

  func run() async {
    guard world.plan.weather != .calm else { return }
    while !isOver {
      await world.sleep(.milliseconds(300 + world.pick(4000)))
      if isOver { break }
      strikes += 1
      if strikes < lossStrike || world.loss != nil {
        await strike()
      } else {
        await loseDatabase()
      }
    }
  }

  /// The database is lost at some moment, with all gateways.
  private func loseDatabase() async {
    let dead = await killBehindCommit()
    await world.loseDatabase()
    await dead?.end()
    guard world.loss != nil else {
      if let dead { await world.startGateway(dead.slot) }
      return
    }
    for slot in world.gateways.indices { await world.startGateway(slot) }
    await world.registerServers()
  }

  /// Has one gateway die at once when it has committed something, which is not in the log then;
  /// clients go on by the other for a while. Returns the one that died, which is to be ended.
  private func killBehindCommit() async -> SimulatedGateway? {
    guard [.disks, .gateways, .database, .storm].contains(world.plan.weather) else { return nil }
    let slot = world.pick(2)
    guard world.pick(3) > 0, let gateway = world.gateways[slot], !gateway.isHarmed else {
      return nil
    }
    world.note("harm: gateway \(slot) dies behind a commit")
    gateway.process.kill(behindCommit: 1 + world.pick(3))
    await world.sleep(.milliseconds(1000 + world.pick(9000)))
    guard gateway.process.isDead, world.gateways[slot] === gateway else {
      gateway.process.kill(behindCommit: 0)
      return nil
    }
    world.gateways[slot] = nil
    gateway.crash()
    await world.sleep(.milliseconds(world.pick(8000)))
    return gateway
  }

  private func strike() async {
    let weather =
      world.plan.weather == .storm
      ? SimulationPlan.Weather.allCases[1 + world.pick(6)] : world.plan.weather
    switch weather {
    case .calm, .storm: break
    case .network: disturbNetwork()
    case .crashes: crashServer()
    case .disks: await harmDisk()
    case .gateways: await harmGateway()
    case .database: harmDatabase()
    case .members: await changeMembers()
    }
  }

  /// Does something now and takes it back later.
  func soon(_ text: String, _ undo: @escaping @Sendable () async -> Void) {
    world.note("harm: \(text)")
    world.later { [world] in
      world.note("over: \(text)")
      await undo()
    }
  }

  private var server: SimulatedServer { world.servers[world.pick(world.servers.count)] }

  // MARK: Network

  private func disturbNetwork() {
    guard let gateway = world.gateways[world.pick(2)] else { return }
    if let cache = world.cache, world.pick(5) == 0 {
      cache.failures = 100 + world.pick(900)
      return soon("the cache fails") { cache.failures = 0 }
    }
    let kind = world.pick(3)
    let count = 1 + world.pick(kind == 0 ? 2 : 4)
    for _ in 0..<count {
      let index = world.pick(world.servers.count)
      let faults = gateway.linkFaults[index]
      let server = world.servers[index]
      switch kind {
      case 0:
        faults.isCut = true
        soon("link \(gateway.slot) to \(index) cut") { faults.isCut = false }
      case 1:
        faults.losses = world.chance(300) ? 1000 : 50 + world.pick(300)
        faults.duplicates = 500
        soon("link \(gateway.slot) to \(index) loses") {
          faults.losses = 0
          faults.duplicates = 0
        }
      default:
        server.slowness = .milliseconds(100 + world.pick(3000))
        soon("server \(index) slow") { server.slowness = .zero }
      }
    }
  }

  // MARK: Servers and their disks

  private func crashServer() {
    for _ in 0...world.pick(3) {
      let server = server
      guard server.life != nil else { continue }
      let isPower = world.pick(3) > 0
      server.crash(power: isPower ? SeededRandom(seed: world.random.next()) : nil)
      soon("server \(server.id.low) crashes, power \(isPower)") { server.start() }
    }
  }

  private func harmDisk() async {
    let server = server
    let disk = server.disk
    let kind = world.pick(5)
    if kind < 3 { server.wasHarmed = true }
    switch kind {
    case 0:
      disk.setCapacity(disk.usedBytes + (1 << 20) + world.pick(200_000))
      soon("disk \(server.id.low) full") { disk.setCapacity(SimulatedServer.capacity) }
    case 1:
      let operation: DiskError.Operation = [.sync, .write, .create, .syncDirectory][world.pick(4)]
      disk.inject(.init(operation, after: world.pick(6), times: 1 + world.pick(2)))
      soon("disk \(server.id.low) fails") {
        disk.heal()
        // A store that took an error takes writes again in its next life.
        server.crash(power: nil)
        server.start()
      }
    case 2:
      disk.inject(.init(.read, after: world.pick(10), times: 1 + world.pick(5)))
      soon("disk \(server.id.low) cannot be read") { disk.heal() }
    default: await rot()
    }
  }

  /// Changes one chunk of an extent all of whose others are good.
  private func rot() async {
    guard let extents = try? await world.allExtents(), !extents.isEmpty else { return }
    let extent = extents[world.pick(extents.count)]
    for index in extent.stores.indices {
      guard await world.isGood(extent, index) else { return }
    }
    let index = world.pick(extent.stores.count)
    guard let server = world.server(extent.stores[index]), let store = server.life?.store else {
      return
    }
    let id = ChunkID(extent: extent.id, index: UInt8(index))
    guard !world.leaving.contains(server.id) else { return }
    guard let reader = try? await store.openChunk(id) else { return }
    defer { reader.close() }
    let buffer = AlignedBuffer(count: 64 << 10)
    let count = min(reader.trailer.dataLength, 64 << 10)
    guard (try? await reader.read(0..<count, into: buffer, at: 0)) != nil else { return }
    let found = server.disk.damage(buffer.bytes(0..<min(count, 24)))
    world.rotten[id, default: []].insert(server.id)
    server.wasHarmed = true
    world.note("harm: chunk \(id) rots in \(found) files of \(server.id.low)")
  }

  // MARK: Gateways and the database

  private func harmGateway() async {
    let slot = world.pick(2)
    guard let gateway = world.gateways[slot], !gateway.isHarmed else { return }
    switch world.pick(6) {
    case 0:
      gateway.wallClock.setOffset(milliseconds: Int64(world.pick(60_000)) - 30_000)
      world.note("harm: the clock of gateway \(slot) jumps")
    case 1, 2: stop(gateway)
    case 3:
      world.gateways[slot] = nil
      soon("gateway \(slot) restarts in order") { [world] in
        await gateway.end()
        gateway.crash()
        await world.startGateway(slot)
      }
    default:
      world.gateways[slot] = nil
      gateway.crash()
      soon("gateway \(slot) dies") { [world] in
        await gateway.end()
        await world.startGateway(slot)
      }
    }
  }

  /// Stops a gateway for longer than its leases last. It goes on when it wakes up, or finds another
  /// in its place.
  private func stop(_ gateway: SimulatedGateway) {
    let slot = gateway.slot
    let isReplaced = world.pick(2) == 0
    gateway.isHarmed = true
    gateway.wasStopped = true
    // Most often in the middle of a commit, which comes through when it wakes up.
    gateway.process.stop(atWrite: 1 + world.pick(4))
    soon("gateway \(slot) stops, replaced \(isReplaced)") { [world] in
      gateway.process.setStopped(true)
      world.gateways[slot] = nil
      await world.sleep(.seconds(45))
      if isReplaced { await world.startGateway(slot) }
      await world.sleep(.milliseconds(world.pick(8000)))
      world.note("stopped gateway \(slot) goes on")
      gateway.process.setStopped(false)
      if !isReplaced {
        gateway.isHarmed = false
        world.gateways[slot] = gateway
        return
      }
      await world.sleep(.seconds(15))
      gateway.crash()
      await gateway.end()
    }
  }

  private func harmDatabase() {
    let database = world.database
    switch world.pick(3) {
    case 0:
      database.faults.isDown = true
      soon("database down") { database.faults.isDown = false }
    case 1:
      database.faults.failures = 100 + world.pick(200)
      soon("database fails") { database.faults.failures = 0 }
    default:
      database.faults.unknownOutcomes = 50 + world.pick(200)
      database.faults.repeats = 200
      soon("outcomes unknown") {
        database.faults.unknownOutcomes = 0
        database.faults.repeats = 0
      }
    }
  }
}

extension SimulationWorld {
  /// Starts a gateway in the place of one that is gone.
  func startGateway(_ slot: Int) async {
    while true {
      do {
        if let life = lives.last(where: { $0.slot == slot }),
          let writer = life.work.cluster?.writer,
          let witness = writer.witness
        {
          witnesses[slot] = witness
        }
        let gateway = try await SimulatedGateway(slot: slot, world: self)
        gateways[slot] = gateway
        lives.append(gateway)
        gateway.start(self)
        return note("gateway \(slot) starts with epoch \(gateway.epoch)")
      } catch {
        note("gateway \(slot) does not start: \(error)")
        await sleep(.seconds(1))
      }
    }
  }
}
