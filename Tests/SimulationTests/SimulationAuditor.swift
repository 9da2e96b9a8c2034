/// Looks every few seconds whether what the metadata says is so.
///
/// Confined to the thread of the simulation.
final class SimulationAuditor: @unchecked Sendable {
  private let world: SimulationWorld
  private var isOver = false

  init(_ world: SimulationWorld) { self.world = world }

  func stop() { isOver = true }

  func run() async {
    while !isOver {
      await world.sleep(.seconds(3))
      await world.audit()
    }
  }
}
