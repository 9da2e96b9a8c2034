import Base
import Cluster
import Metadata
import Runtime
import TestSupport

/// Changes of the members of the cluster, by the product's own administration.
extension SimulationNemesis {
  /// A server joins, is drained, weighs otherwise, or is lost.
  func changeMembers() async {
    guard let gateway = world.gateways.compactMap({ $0 }).first else { return }
    let kind = world.plan.mutant == .earlyDrain ? 1 : world.pick(6)
    switch kind {
    case 0: await join(gateway)
    case 1, 2: await drain(gateway)
    case 3: await weigh(gateway)
    // Some of the log may have but one copy while stores fail: the loss of that and of the database
    // is one too many.
    default:
      lose(isForGood: kind == 4 && world.plan.weather == .members && !world.plan.losesDatabase)
    }
  }

  /// Servers that hold chunks, or may, and are not about to leave.
  private func staying() async -> [SimulatedServer] {
    guard let members = try? await world.observer.members() else { return [] }
    let active = Set(members.servers.filter { $0.state == .active }.map(\.id))
    return world.servers.filter {
      active.contains($0.serverID) && !world.leaving.contains($0.id)
    }
  }

  /// One that may leave, so that enough are left for one chunk of an extent each.
  private func leaver() async -> SimulatedServer? {
    let staying = await staying()
    guard staying.count > SimulationWorld.scheme.total else { return nil }
    return staying[world.pick(staying.count)]
  }

  private func join(_ gateway: SimulatedGateway) async {
    guard let server = world.servers.last else { return }
    world.note("harm: server \(server.id.low) joins")
    do {
      // It may have registered even though it was not told.
      world.joined.insert(server.serverID)
      try await gateway.membership.register(SimulationWorld.registration(server))
    } catch {
      world.note("server \(server.id.low) does not join: \(error)")
    }
  }

  private func drain(_ gateway: SimulatedGateway) async {
    guard let server = await leaver() else { return }
    world.leaving.insert(server.id)
    do { try await gateway.administration.drain(server.serverID) } catch {
      world.note("no drain of \(server.id.low): \(error)")
    }
    guard world.pick(2) == 0 else {
      return world.note("harm: server \(server.id.low) is drained")
    }
    let pause = Duration.seconds(world.pick(90))
    soon("server \(server.id.low) is drained for a while") { [world] in
      await world.sleep(pause)
      for _ in 0..<60 {
        guard let gateway = world.gateways.compactMap({ $0 }).first else {
          await world.sleep(.seconds(1))
          continue
        }
        do {
          try await gateway.administration.undoDrain(server.serverID)
        } catch ClusterAdministrationError.refused {
          // It was undone, or never came about.
        } catch {
          await world.sleep(.seconds(1))
          continue
        }
        break
      }
      world.leaving.remove(server.id)
    }
  }

  private func weigh(_ gateway: SimulatedGateway) async {
    let staying = await staying()
    guard !staying.isEmpty else { return }
    let server = staying[world.pick(staying.count)]
    let weight = 3 + world.pick(6)
    world.note("harm: server \(server.id.low) weighs \(weight)")
    try? await gateway.administration.setWeight(server.id, weight)
  }

  /// A server is away for longer than the grace, or for good.
  private func lose(isForGood: Bool) {
    let world = world
    world.later { [self] in
      guard let server = await leaver() else { return }
      world.leaving.insert(server.id)
      server.isGone = isForGood
      server.crash(power: SeededRandom(seed: world.random.next()))
      world.note("harm: server \(server.id.low) is lost, for good \(isForGood)")
      if isForGood { return }
      await world.sleep(.seconds(70 + world.pick(60)))
      world.note("over: server \(server.id.low) is back")
      server.start()
      world.leaving.remove(server.id)
    }
  }
}
