import Runtime
import Synchronization
import TestSupport
import Testing

/// The executor and the clock that simulations run on.
struct SchedulerTests {
  private final class Order: Sendable {
    private let list = Mutex<[Int]>([])

    func add(_ number: Int) { list.withLock { $0.append(number) } }

    var all: [Int] { list.withLock { $0 } }
  }

  private func run(
    seed: UInt64, _ body: @escaping @Sendable (SimulatedClock) async -> Void
  ) -> (outcome: SimulatedScheduler.Outcome, scheduler: SimulatedScheduler) {
    let scheduler = SimulatedScheduler(seed: seed)
    let pool = ThreadPool(name: "simulated", scheduler: scheduler)
    let clock = SimulatedClock(scheduler)
    return (scheduler.run(on: pool) { await body(clock) }, scheduler)
  }

  @Test("sleepers wake in the order of their deadlines, and no time passes but theirs")
  func sleeps() {
    let order = Order()
    let (outcome, scheduler) = run(seed: 1) { clock in
      await withTaskGroup(of: Void.self) { group in
        for hours in [3, 1, 2] {
          group.addTask {
            try? await clock.sleep(for: .seconds(hours * 3600))
            order.add(hours)
          }
        }
      }
    }
    #expect(outcome == .finished)
    #expect(order.all == [1, 2, 3])
    #expect(scheduler.nanoseconds == 3 * 3600 * 1_000_000_000)
    #expect(scheduler.sleepers == 0)
    #expect(scheduler.strays == 0)
  }

  @Test("a sleeper that is cancelled wakes at once")
  func cancels() {
    let (outcome, scheduler) = run(seed: 1) { clock in
      await withTaskGroup(of: Void.self) { group in
        group.addTask { try? await clock.sleep(for: .seconds(60)) }
        group.cancelAll()
      }
    }
    #expect(outcome == .finished)
    #expect(scheduler.nanoseconds == 0)
  }

  @Test("seeds order tasks differently, and each always the same")
  func orders() {
    func order(_ seed: UInt64) -> [Int] {
      let order = Order()
      _ = run(seed: seed) { _ in
        await withTaskGroup(of: Void.self) { group in
          for number in 0..<8 { group.addTask { order.add(number) } }
        }
      }
      return order.all
    }
    let orders = (UInt64(1)...20).map(order)
    #expect(orders == (UInt64(1)...20).map(order))
    #expect(Set(orders).count > 15)
    #expect(orders.allSatisfy { $0.sorted() == Array(0..<8) })
  }

  @Test("what waits for ever is told from what ends")
  func stuck() {
    let scheduler = SimulatedScheduler(seed: 1)
    let pool = ThreadPool(name: "simulated", scheduler: scheduler)
    let channel = BoundedChannel<Int>(capacity: 1)
    #expect(scheduler.run(on: pool) { _ = try? await channel.next() } == .stuck)
    // Lets the task end, so that nothing of it stays.
    channel.finish()
    #expect(scheduler.run(on: pool) {} == .finished)
  }
}
