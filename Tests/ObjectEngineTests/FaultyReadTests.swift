import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Reads over faulty stores")
struct FaultyReadTests {
  private static let sizes = [40_000, 700_000, 2_300_000]
  private static let block = 262_144
  private static let steps: [[FaultyStore.Step]] = [
    [.openChunk], [.read(0)], [.read(block)], [.read(0), .read(block), .read(2 * block)],
  ]
  private static let faults: [FaultyStore.Fault] = [
    .hang, .fail(.offline("")), .fail(.io("")), .fail(.corrupt("")), .fail(.missing),
  ]

  /// Tells a test that a task of it is done.
  private final class End: Sendable {
    private let value = Mutex(false)
    var hasCome: Bool { value.withLock { $0 } }
    func come() { value.withLock { $0 = true } }
  }

  private func filled(
    _ clock: SteppedClock = SteppedClock(jumps: true), faults: FaultTolerance = FaultTolerance()
  ) async throws -> FaultyNode {
    let node = try await FaultyNode.open(clock: clock, faults: faults)
    for size in Self.sizes { try await node.put("\(size)", Self.bytes(size)) }
    return node
  }

  private static func bytes(_ size: Int) -> [UInt8] { FaultyContent.bytes(size) }

  private static func decide(
    _ node: FaultyNode, _ places: [Int], _ fault: FaultyStore.Fault, _ steps: [FaultyStore.Step]
  ) {
    for place in places { node.stores[place].decide { steps.contains($0) ? fault : nil } }
  }

  @Test("any two of six may hang, fail or lie while objects are read", arguments: Pair.all)
  func pairs(pair: Pair) async throws {
    let node = try await filled()
    for (number, steps) in Self.steps.enumerated() {
      // Each step with every fault, over all pairs.
      for fault in [Self.faults[(number + pair.first * 2 + pair.second) % 5]] {
        Self.decide(node, pair.members, fault, steps)
        for size in Self.sizes {
          let bytes = Self.bytes(size)
          let comment: Comment = "\(size) \(steps) \(fault)"
          #expect(isSame(try await node.get("\(size)"), bytes[...]), comment)
          let range = size / 3..<size / 3 + 9000
          #expect(isSame(try await node.get("\(size)", range), bytes[range]), comment)
          await node.expectAtRest(comment)
        }
        await node.recover()
      }
    }
    await node.close()
  }

  @Test("any three are a clean error, retries included", arguments: Triple.all)
  func triples(triple: Triple) async throws {
    let node = try await filled()
    for fault in [Self.faults[triple.members.reduce(0, +) % 5]] {
      node.fault(triple.members, everywhere: fault)
      for size in Self.sizes {
        await #expect {
          _ = try await node.get("\(size)")
        } throws: { error in
          // How many had answered by then depends on the moment.
          if case EngineError.unreadable(0...3, needed: 4) = error { true } else { false }
        }
        await node.expectAtRest("\(size) \(fault)")
      }
      await node.recover()
    }
    for size in Self.sizes {
      #expect(isSame(try await node.get("\(size)"), Self.bytes(size)[...]))
    }
    await node.close()
  }

  @Test(
    "two that hang cost a pause each at most, of a hedge or of a stall", arguments: Pair.all,
    [0, 8])
  func pairsHang(pair: Pair, hedges: Int) async throws {
    let clock = SteppedClock()
    var faults = FaultTolerance()
    faults.hedgeBurst = hedges
    faults.hedgeShare = 0
    let node = try await filled(clock, faults: faults)
    let pause = hedges > 0 ? faults.hedgeFloor : faults.readStall
    node.fault(pair.members, everywhere: .hang)
    let end = End()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { end.come() }
        let found = try await node.get("700000")
        #expect(isSame(found, Self.bytes(700_000)[...]))
      }
      // Each of the two hangs, and the timers of the reads that began last are set.
      for number in 1...2 {
        let timers = hedges > 0 ? number + 1 : 2
        while !end.hasCome,
          node.stores.reduce(0, { $0 + $1.hanging }) < number || clock.sleeping < timers
        {
          await Task.yield()
        }
        if !end.hasCome { clock.advance(pause) }
      }
      // From here on the clock stands still.
      try await group.waitForAll()
    }
    #expect(clock.now <= pause * 2)
    await node.expectAtRest("\(pair)")
    await node.close()
  }

  @Test("where too many hang a read ends at its limit, and nothing is left", arguments: [3, 4, 6])
  func limit(count: Int) async throws {
    let clock = SteppedClock()
    var faults = FaultTolerance()
    faults.readLimit = .seconds(20)
    let node = try await filled(clock, faults: faults)
    for steps in Self.steps {
      Self.decide(node, Array(0..<count), .hang, steps)
      let start = clock.now
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          await #expect {
            _ = try await node.get("2300000")
          } throws: { error in
            if case EngineError.unreadable(0...3, needed: 4) = error { true } else { false }
          }
        }
        group.addTask {
          while !Task.isCancelled {
            if clock.sleeping > 0 { clock.advance(.milliseconds(500)) }
            await Task.yield()
          }
        }
        await group.next()
        group.cancelAll()
      }
      #expect(clock.now - start >= .seconds(20))
      await node.expectAtRest("\(count) \(steps)")
      await node.recover()
      for store in node.stores { #expect(node.engine.stores.state(of: store.id) == .active) }
    }
    #expect(isSame(try await node.get("2300000"), Self.bytes(2_300_000)[...]))
    await node.close()
  }

  @Test("what answers while the limit strikes is taken")
  func atTheLimit() async throws {
    // The clock jumps over every pause, so that the limit is there before any answer.
    var faults = FaultTolerance()
    faults.readLimit = .milliseconds(1)
    let node = try await filled(faults: faults)
    node.fault([1, 4], everywhere: .hang)
    for size in Self.sizes {
      #expect(isSame(try await node.get("\(size)"), Self.bytes(size)[...]))
      await node.expectAtRest("\(size)")
    }
    await node.close()
  }

  @Test("three that fail for a moment are asked again; only then does a read wait")
  func retries() async throws {
    let clock = SteppedClock(jumps: true, upTo: .seconds(60))
    var faults = FaultTolerance()
    faults.readLimit = .seconds(3600)
    let node = try await filled(clock, faults: faults)
    let store = node.stores[0]
    for place in [0, 1, 2] {
      let limit = node.stores[place].calls(.openChunk) + 2
      node.stores[place].decide { [store = node.stores[place]] step in
        step == .openChunk && store.calls(.openChunk) <= limit ? .fail(.offline("")) : nil
      }
    }
    let calls = store.calls(.openChunk)
    #expect(isSame(try await node.get("700000"), Self.bytes(700_000)[...]))
    #expect(store.calls(.openChunk) >= calls + 2 && clock.pauses.contains { $0 < .seconds(1) })
    await node.close()
  }

  @Test("a store that hangs costs one hedge, and is read last from then on")
  func hedge() async throws {
    let clock = SteppedClock()
    let node = try await filled(clock)
    let extent = try #require(try await node.extents("700000").first)
    let place = try #require(node.stores.firstIndex { $0.id == extent.stores[0] })
    let store = node.stores[place]
    store.decide { step in if case .openChunk = step { .hang } else { nil } }
    let reads = { node.stores.reduce(0) { $0 + $1.reads } }
    let before = reads()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let found = try await node.get("700000")
        #expect(isSame(found, Self.bytes(700_000)[...]))
      }
      // It hangs, the three others have come, and the timers of a hedge and of a stall are set.
      try await eventually {
        store.hanging == 1 && reads() - before == 3 && clock.sleeping == 2
      }
      clock.advance(FaultTolerance().hedgeFloor)
      // From here on the clock stands still.
      try await group.waitForAll()
    }
    #expect(node.engine.pace.counts.hedges == 1)
    // Neither this object nor another asks it again, and nobody waits.
    let calls = store.calls(.openChunk)
    for size in Self.sizes {
      #expect(isSame(try await node.get("\(size)"), Self.bytes(size)[...]))
    }
    #expect(store.calls(.openChunk) == calls && node.engine.pace.counts.hedges == 1)
    clock.advance(.seconds(11))
    store.decide(nil)
    #expect(isSame(try await node.get("700000"), Self.bytes(700_000)[...]))
    #expect(store.calls(.openChunk) > calls)
    await node.close()
  }

  @Test("hedges stay under their share of the reads, whatever hangs")
  func budget() async throws {
    let clock = SteppedClock()
    var faults = FaultTolerance()
    faults.suspicion = .zero
    faults.hedgeBurst = 2
    // The clock runs on while the reads do not, on a busy machine.
    faults.readLimit = .seconds(1 << 30)
    let node = try await filled(clock, faults: faults)
    let extent = try #require(try await node.extents("700000").first)
    let store = try #require(node.stores.first { $0.id == extent.stores[0] })
    store.decide { step in if case .openChunk = step { .hang } else { nil } }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for _ in 0..<40 {
          let found = try await node.get("700000")
          #expect(isSame(found, Self.bytes(700_000)[...]))
        }
      }
      group.addTask {
        while !Task.isCancelled {
          if store.hanging > 0 { clock.advance(.milliseconds(50)) }
          await Task.yield()
        }
      }
      try await group.next()
      group.cancelAll()
    }
    let counts = node.engine.pace.counts
    #expect(counts.hedges > 0)
    #expect(Double(counts.hedges) <= 2 + 0.05 * Double(counts.reads), "\(counts)")
    await node.close()
  }

  @Test("a read that is cancelled while stores hang ends, and holds nothing")
  func cancellation() async throws {
    let node = try await filled(SteppedClock())
    for steps in Self.steps {
      Self.decide(node, Array(0..<6), .hang, steps)
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          await #expect(throws: (any Error).self) { _ = try await node.get("2300000") }
        }
        while node.stores.allSatisfy({ $0.hanging == 0 }) { await Task.yield() }
        group.cancelAll()
      }
      await node.expectAtRest("\(steps)")
      await node.recover()
    }
    #expect(isSame(try await node.get("2300000"), Self.bytes(2_300_000)[...]))
    await node.close()
  }

  @Test("the blocks of a stripe are asked for at once")
  func together() async throws {
    let node = try await filled(SteppedClock())
    let hanging: @Sendable () -> Int = { node.stores.reduce(0) { $0 + $1.hanging } }
    Self.decide(node, Array(0..<6), .hang, [.openChunk])
    await withTaskGroup(of: Void.self) { group in
      group.addTask { _ = try? await node.get("2300000") }
      while hanging() < 4 { await Task.yield() }
      group.cancelAll()
    }
    await node.close()
  }
}
