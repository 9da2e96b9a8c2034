import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import TestSupport

/// One run from a seed: work and harm, then healing, then the checks.
struct Simulation: Sendable {
  /// What came of a run.
  struct Report: Sendable {
    var violations: [String]
    var trace: UInt64
    var steps: UInt64
    var seconds: Int64
    var story: String
    var guards: SimulationWorld.GuardCounts
  }

  let plan: SimulationPlan

  init(_ plan: SimulationPlan) { self.plan = plan }

  /// Runs on the calling thread.
  func run() throws -> Report {
    let world = try SimulationWorld(plan)
    let outcome = world.scheduler.run(on: world.pool, limit: 300_000) { await Self.live(world) }
    switch outcome {
    case .finished: break
    case .stuck: world.violation("something waits for what never comes")
    case .exhausted: world.violation("the run does not come to its end")
    }
    if world.scheduler.sleepers > 0 { world.violation("a task still sleeps in the end") }
    if world.scheduler.strays > 0 {
      world.violation("\(world.scheduler.strays) jobs came from outside the simulation")
    }
    for text in world.database.violations { world.violation(text) }
    for error in world.database.sqlErrors { world.violation("SQL: \(error)") }
    return Report(
      violations: world.violations, trace: world.scheduler.trace, steps: world.scheduler.steps,
      seconds: world.scheduler.nanoseconds / 1_000_000_000,
      story: world.story(world.plan.isVerbose ? .max : 60), guards: world.guards)
  }

  private static func live(_ world: SimulationWorld) async {
    do {
      try await Migrations.apply(to: ObservingDriver(world.database))
      try await world.observer.replaceEncryptionKeys(
        world.keys.wrapped(under: world.master, random: world.random.bytes).map {
          StoredEncryptionKey(
            number: $0.number, wrapped: $0.bytes,
            masterCheck: world.master.checkValue(cluster: world.cluster),
            created: world.database.wallClock.now)
        }, expected: [])
      let bucket = try await world.observer.createBucket(
        name: "bucket", tenant: 1, owner: SimulationWorld.owner, purpose: .s3)
      for server in world.servers.prefix(SimulationWorld.serverCount) {
        try await world.observer.register(SimulationWorld.registration(server))
        world.joined.insert(server.serverID)
      }
      for slot in world.gateways.indices { await world.startGateway(slot) }
      let mutation = SimulationMutation(world)
      mutation.begin()
      let contents = SimulationContents()
      let auditor = SimulationAuditor(world)
      let nemesis = SimulationNemesis(world)
      await withTaskGroup(of: Void.self) { group in
        group.addTask(executorPreference: world.pool) { await nemesis.run() }
        group.addTask(executorPreference: world.pool) { await mutation.run() }
        group.addTask(executorPreference: world.pool) { await auditor.run() }
        await withTaskGroup(of: Void.self) { clients in
          for number in 0..<world.plan.clients {
            let client = SimulatedClient(
              number, world: world, contents: contents, bucket: bucket)
            clients.addTask(executorPreference: world.pool) { await client.run() }
          }
        }
        nemesis.stop()
        mutation.stop()
        auditor.stop()
      }
      await world.heal(bucket, contents)
      await world.settle(contents)
      await world.check(bucket, contents)
      await world.checkRebuild()
      await world.end()
    } catch {
      world.violation("the run failed: \(error)")
    }
  }
}
