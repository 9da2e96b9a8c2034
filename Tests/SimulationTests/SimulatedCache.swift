import Metadata
import TestSupport

/// The cache that gateways share: it forgets what it likes, and fails when its network does.
///
/// Confined to the thread of the simulation.
final class SimulatedCache: FactCache, @unchecked Sendable {
  private var values: [String: (value: [UInt8], until: Int64)] = [:]
  private unowned let world: SimulationWorld
  private let scheduler: SimulatedScheduler
  private let clock: SimulatedClock
  private(set) var statistics = FactCacheStatistics()
  /// Of 1000 calls, how many fail.
  var failures = 0

  init(_ world: SimulationWorld) {
    self.world = world
    scheduler = world.scheduler
    clock = world.clock
  }

  private func call() async -> Bool {
    await clock.rest(.microseconds(100 + world.pick(2000)))
    return !world.chance(failures)
  }

  func value(of key: String) async -> [UInt8]? {
    guard await call(), let entry = values[key], entry.until > scheduler.nanoseconds else {
      statistics.misses += 1
      return nil
    }
    statistics.hits += 1
    return entry.value
  }

  func keep(_ value: [UInt8], as key: String, seconds: Int) async {
    guard await call() else { return }
    values[key] = (value, scheduler.nanoseconds + Int64(seconds) * 1_000_000_000)
    if world.chance(20) { values = [:] }
  }

  func forget(_ keys: [String]) async {
    guard await call() else { return }
    for key in keys { values[key] = nil }
  }

  func forgetAll(prefix: String) async {
    guard await call() else { return }
    values = values.filter { !$0.key.hasPrefix(prefix) }
  }
}
