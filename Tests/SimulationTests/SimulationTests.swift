import Foundation
import Testing

/// The whole system in one process, with everything that may go wrong, from a seed.
@Suite(.serialized)
struct SimulationTests {
  /// A seed that is asked for runs alone: `SIM_SEED=n swift test --filter SimulationTests`.
  static let asked = ProcessInfo.processInfo.environment["SIM_SEED"].flatMap { UInt64($0) }

  static let seeds: [UInt64] = asked.map { [$0] } ?? Array(1...20)

  @Test("every seed keeps every promise", arguments: seeds)
  func promises(seed: UInt64) throws {
    let plan = SimulationPlan(seed: seed)
    let report = try Simulation(plan).run()
    #expect(
      report.violations.isEmpty,
      """
      SIM_SEED=\(seed) (\(plan.weather)): \(report.violations.prefix(5).joined(separator: "; "))
      \(report.story)
      """)
    if Self.asked != nil {
      print(report.story)
      print("seed \(seed) \(plan.weather): \(report.steps) steps, \(report.seconds) s, trace \(report.trace)")
    }
  }
}
