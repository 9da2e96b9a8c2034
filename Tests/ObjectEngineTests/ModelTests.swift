import Foundation
import Testing

/// Random requests on the engine and on the reference.
///
/// `MODEL_SEED` runs one sequence again, `MODEL_STEPS` sets its length.
@Suite("The engine answers as the reference does")
struct ModelTests {
  static let seeds: [UInt64] = {
    if let text = ProcessInfo.processInfo.environment["MODEL_SEED"], let seed = UInt64(text) {
      return [seed]
    }
    return [1, 2, 3, 4] + [UInt64.random(in: 5...1_000_000)]
  }()

  static let steps =
    ProcessInfo.processInfo.environment["MODEL_STEPS"].flatMap { Int($0) } ?? 250

  @Test("random requests, restarts, kills and stores away", arguments: seeds)
  func sequence(seed: UInt64) async throws {
    print("model: MODEL_SEED=\(seed) MODEL_STEPS=\(Self.steps)")
    let run = try await ModelRun(seed: seed)
    for _ in 0..<Self.steps { try await run.step() }
    try await run.finish()
  }
}
