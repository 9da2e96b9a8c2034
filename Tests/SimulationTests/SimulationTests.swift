import Foundation
import Runtime
import Testing

/// The whole system in one process, with everything that may go wrong, from a seed.
struct SimulationTests {
  /// A seed that is asked for runs alone: `SIM_SEED=n swift test --filter SimulationTests`.
  static let asked = ProcessInfo.processInfo.environment["SIM_SEED"].flatMap { UInt64($0) }

  /// How many seeds run without being asked for: `SIM_COUNT=n`.
  static let count = ProcessInfo.processInfo.environment["SIM_COUNT"].flatMap { UInt64($0) } ?? 200

  /// Seeds beyond those that have found a bug once.
  static let remembered: [UInt64] = [229, 485, 735, 900, 951]

  static let seeds: [UInt64] =
    asked.map { [$0] } ?? Array(1...max(count, 1)) + remembered.filter { $0 > count }

  /// Threads of their own, so that other tests go on beside.
  private static let pool = ThreadPool(name: "simulations", threadCount: 2)

  static func run(_ plan: SimulationPlan) async throws -> Simulation.Report {
    try await pool.run { try Simulation(plan).run() }
  }

  @Test("the same seed gives the same run twice", arguments: SimulationPlan.Weather.allCases)
  func isDeterministic(weather: SimulationPlan.Weather) async throws {
    var plan = SimulationPlan(seed: 4711, weather: weather)
    plan.isVerbose = true
    let first = try await Self.run(plan)
    let second = try await Self.run(plan)
    #expect(first.trace == second.trace)
    #expect(first.steps == second.steps)
    #expect(first.story == second.story)
    let other = try await Self.run(SimulationPlan(seed: 4712, weather: weather))
    #expect(first.trace != other.trace)
    if Self.asked != nil { print("\(weather) \(first.trace)") }
  }

  /// A bug that is put in, the weather that shows it, and the seed that found it last.
  static let mutants: [(SimulationPlan.Mutant, SimulationPlan.Weather, seed: UInt64)] = [
    (.ignoredSyncs, .crashes, 1), (.ignoredDirectorySyncs, .crashes, 1), (.liedQuorum, .network, 1),
    (.noDeletionDelay, .calm, 6), (.sweptLiveEpoch, .calm, 1), (.forgottenCommits, .calm, 1),
    (.staleLookUps, .calm, 1), (.leakedBuffer, .calm, 1), (.unfencedCommits, .gateways, 2),
    (.unfencedLeader, .gateways, 1), (.earlyDrain, .members, 1), (.stuckBreaker, .crashes, 6),
    (.sharedBreaker, .members, 2), (.repeatedWrites, .network, 1), (.earlyLog, .gateways, 3),
    (.keptDeleted, .calm, 3), (.lostQuarantine, .gateways, 14), (.sweptQuarantine, .gateways, 14),
  ]

  @Test("a bug that is put in is found within a hundred seeds", arguments: mutants)
  func finds(
    mutant: SimulationPlan.Mutant, weather: SimulationPlan.Weather, seed last: UInt64
  ) async throws {
    for seed in [last] + (1...100).filter({ $0 != last }) {
      let report = try await Self.run(
        SimulationPlan(seed: seed, weather: weather, mutant: mutant))
      if let first = report.violations.first {
        print("\(mutant) is found by seed \(seed): \(first)")
        return
      }
    }
    Issue.record("\(mutant) is not found")
  }

  @Test("breakers open, calls are refused and reads are hedged, or nothing is shown of them")
  func guardsWork() async throws {
    var counts = SimulationWorld.GuardCounts()
    for seed in UInt64(1)...3 {
      for weather in [SimulationPlan.Weather.network, .crashes] {
        let guards = try await Self.run(SimulationPlan(seed: seed, weather: weather)).guards
        counts.openings += guards.openings
        counts.refusals += guards.refusals
        counts.hedges += guards.hedges
      }
    }
    print("\(counts)")
    #expect(counts.openings > 0)
    #expect(counts.refusals > 0)
    #expect(counts.hedges > 0)
  }

  @Test("every seed keeps every promise", arguments: seeds)
  func promises(seed: UInt64) async throws {
    var plan = SimulationPlan(seed: seed)
    plan.isVerbose = Self.asked != nil
    let report = try await Self.run(plan)
    #expect(
      report.violations.isEmpty,
      """
      SIM_SEED=\(seed) (\(plan.weather)): \(report.violations.prefix(5).joined(separator: "; "))
      \(report.story)
      """)
    if Self.asked != nil {
      print(report.story)
      print(
        "seed \(seed) \(plan.weather): \(report.steps) steps, \(report.seconds) s, trace \(report.trace)"
      )
    }
  }
}
