import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Sealing
import TestSupport
import Testing

@Suite("Writes over faulty stores")
struct FaultyWriteTests {
  /// Sizes of one small chunk, one stripe and three stripes, and the steps of writing them.
  private static let plans: [(size: Int, steps: [FaultyStore.Step])] = [
    (40_000, [.putSmall]),
    (700_000, [.beginChunk, .append(0), .finish]),
    (2_300_000, [.beginChunk, .append(0), .append(1), .append(2), .finish]),
  ]
  private static let faults: [FaultyStore.Fault] = [.hang, .fail(.offline("")), .fail(.io(""))]

  @Test(
    "any two of six may hang or fail at any step of a write: it succeeds, and bears another loss",
    arguments: Pair.all)
  func pairs(pair: Pair) async throws {
    let node = try await FaultyNode.open()
    for (size, steps) in Self.plans {
      let bytes = FaultyContent.bytes(size)
      for (number, step) in steps.enumerated() {
        // Each step with every fault, over all pairs.
        for fault in [Self.faults[(number + pair.first + pair.second) % 3]] {
          let comment: Comment = "\(size) \(step) \(fault)"
          node.fault(pair.members, fault, at: step)
          let key = "\(size)-\(step)-\(fault)"
          try await node.put(key, bytes)
          try await node.expectDurable(key, comment)
          node.fault(pair.members, everywhere: fault)
          #expect(isSame(try await node.get(key), bytes[...]), comment)
          await node.expectAtRest(comment)
          await node.recover()
        }
      }
    }
    await node.close()
  }

  @Test("two stores may fail at different steps", arguments: [1, 2, 3, 4] as [UInt64])
  func differentSteps(seed: UInt64) async throws {
    let node = try await FaultyNode.open()
    let random = SeededRandom(seed: seed)
    var generator = Generator(random: random)
    let (size, steps) = Self.plans[2]
    let bytes = FaultyContent.bytes(size)
    for round in 0..<8 {
      let places = Array(0..<6).shuffled(using: &generator).prefix(2)
      for place in places {
        let step = steps[Int(random.next() % UInt64(steps.count))]
        let fault = Self.faults[Int(random.next() % UInt64(Self.faults.count))]
        node.stores[place].decide { $0 == step ? fault : nil }
      }
      let comment: Comment = "seed \(seed), round \(round)"
      try await node.put("\(round)", bytes)
      try await node.expectDurable("\(round)", comment)
      node.fault(Array(places), everywhere: .hang)
      #expect(isSame(try await node.get("\(round)"), bytes[...]), comment)
      await node.expectAtRest(comment)
      await node.recover()
    }
    await node.close()
  }

  private struct Generator: RandomNumberGenerator {
    let random: SeededRandom
    mutating func next() -> UInt64 { random.next() }
  }

  @Test(
    "three that are lost before the first stripe is out are replaced; later it is a clean error",
    arguments: Triple.all)
  func triples(triple: Triple) async throws {
    let node = try await FaultyNode.open()
    for (size, steps) in Self.plans {
      let bytes = FaultyContent.bytes(size)
      for (number, step) in steps.enumerated() {
        for fault in [Self.faults[(number + triple.members.reduce(0, +)) % 2]] {
          let comment: Comment = "\(size) \(step) \(fault)"
          let key = "\(size)-\(step)-\(fault)"
          node.fault(triple.members, fault, at: step)
          // A writer that is past its first stripe cannot begin anew.
          let isLate = size > 2_000_000 && step != .beginChunk && step != .append(0)
          if isLate {
            await #expect(
              throws: EngineError.tooFewStores(available: 3, needed: 5), comment
            ) { try await node.put(key, bytes) }
            #expect(try await node.lookUp(key) == nil, comment)
          } else {
            try await node.put(key, bytes)
            try await node.expectDurable(key, comment)
            #expect(isSame(try await node.get(key), bytes[...]), comment)
          }
          await node.expectAtRest(comment)
          await node.recover()
        }
      }
    }
    await node.close()
  }

  @Test("four of six are too many, and nothing is left over")
  func four() async throws {
    let node = try await FaultyNode.open()
    for (size, steps) in Self.plans {
      for step in steps {
        node.fault([0, 2, 3, 5], .hang, at: step)
        await #expect(throws: EngineError.self) {
          try await node.put("key", FaultyContent.bytes(size))
        }
        #expect(try await node.lookUp("key") == nil)
        await node.expectAtRest("\(size) \(step)")
        await node.recover()
      }
    }
    await node.close()
  }

  @Test(
    "with two of six servers gone, writes go on and bear the loss of one more", arguments: Pair.all)
  func degraded(pair: Pair) async throws {
    let node = try await FaultyNode.open()
    node.fault(pair.members, everywhere: .fail(.offline("")))
    for round in 0..<3 {
      let bytes = FaultyContent.bytes(700_000 + round * 900_000)
      try await node.put("key", bytes)
      try await node.expectDurable("key", "round \(round)")
      for other in 0..<6 where !pair.members.contains(other) {
        node.fault(pair.members + [other], everywhere: .fail(.offline("")))
        #expect(isSame(try await node.get("key"), bytes[...]))
      }
      node.fault(pair.members, everywhere: .fail(.offline("")))
    }
    await node.close()
  }

  @Test("a write that is cancelled while a store hangs ends, and holds nothing")
  func cancellation() async throws {
    let node = try await FaultyNode.open(clock: SteppedClock())
    for (size, steps) in Self.plans {
      for step in steps {
        node.fault([1, 4], .hang, at: step)
        await withTaskGroup(of: Void.self) { group in
          group.addTask {
            await #expect(throws: (any Error).self) {
              try await node.put("key", FaultyContent.bytes(size))
            }
          }
          while node.stores[1].hanging == 0 || node.stores[4].hanging == 0 { await Task.yield() }
          group.cancelAll()
        }
        await node.expectAtRest("\(size) \(step)")
        #expect(try await node.lookUp("key") == nil)
        // A client that left says nothing about the stores.
        #expect(node.stores.allSatisfy { node.engine.stores.state(of: $0.id) == .active })
        await node.recover()
      }
    }
    await node.close()
  }

  /// Puts an object of three stripes while stores hang as told, and moves the clock as told each
  /// time they hang.
  private func put(
    _ node: FaultyNode, _ clock: SteppedClock, hanging places: [Int], at step: FaultyStore.Step,
    _ move: () async -> Void
  ) async throws -> [UInt8] {
    node.fault(places, .hang, at: step)
    let bytes = FaultyContent.bytes(2_300_000)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await node.put("key", bytes) }
      while !places.allSatisfy({ node.stores[$0].hanging == 1 }) { await Task.yield() }
      await move()
      try await group.waitForAll()
    }
    return bytes
  }

  @Test(
    "a store that is slow has a short grace once all but it are through, and is avoided then",
    arguments: [FaultyStore.Step.beginChunk, .append(0), .append(1), .append(2), .finish])
  func slow(step: FaultyStore.Step) async throws {
    let clock = SteppedClock()
    let node = try await FaultyNode.open(clock: clock)
    let bytes = try await put(node, clock, hanging: [3], at: step) {
      // One timer for the start, one since k are through, and that of the grace.
      while clock.sleeping < 3 { await Task.yield() }
      clock.advance(.milliseconds(1999))
      for _ in 0..<100 { await Task.yield() }
      #expect(node.stores[3].hanging == 1)
      clock.advance(.milliseconds(1))
    }
    #expect(clock.now == .seconds(2))
    try await node.expectDurable("key", "\(step)")
    let extent = try #require(try await node.extents("key").first)
    #expect(extent.missing.nonzeroBitCount == 1)
    #expect(isSame(try await node.get("key"), bytes[...]))
    // The next write goes past it, with the clock at rest.
    #expect(node.engine.stores.state(of: node.stores[3].id) == .offline)
    let calls = node.stores[3].calls(.beginChunk)
    try await node.put("next", bytes)
    #expect(node.stores[3].calls(.beginChunk) == calls)
    await node.expectAtRest("\(step)")
    await node.close()
  }

  @Test("where too few are through for a write, a store that is slow is waited for as before")
  func patience() async throws {
    let clock = SteppedClock()
    let node = try await FaultyNode.open(clock: clock)
    let bytes = try await put(node, clock, hanging: [2, 3], at: .append(1)) {
      while clock.sleeping < 2 { await Task.yield() }
      clock.advance(.milliseconds(9_999))
      for _ in 0..<100 { await Task.yield() }
      #expect(node.stores[2].hanging == 1 && node.stores[3].hanging == 1)
      clock.advance(.milliseconds(1))
    }
    try await node.expectDurable("key", "")
    #expect(isSame(try await node.get("key"), bytes[...]))
    await node.close()
  }

  @Test("chunks of the system go past a store that hangs, sooner where enough have them")
  func systemChunks() async throws {
    for (hanging, pause) in [([5], 2), ([4, 5], 10), ([3, 4, 5], 30)] {
      let clock = SteppedClock()
      let node = try await FaultyNode.open(clock: clock)
      node.fault(hanging, .hang, at: .putSmall)
      let descriptor = ExtentDescriptor(
        kind: .changeLog, bucketID: 0, bucketName: "", key: [], tenantID: 0, ownerID: 0,
        sequence: 1, lastModified: node.wall.now, byteCount: 100)
      let chunk = try await node.engine.seal(
        Array(repeating: 1, count: 100), as: ExtentID(epoch: 9, random: (0, 1)), descriptor,
        buffers: BufferPool(limit: 1 << 20, cacheLimit: 0))
      let targets = [3, 4, 5].map { node.stores[$0].id }
      await withTaskGroup(of: Void.self) { group in
        group.addTask {
          let errors = await node.engine.put([chunk], to: targets, enough: 2)
          #expect(Set(errors.keys) == Set(hanging.map { node.stores[$0].id }))
        }
        // A timer for the start, and one for each store that is through.
        while node.stores.reduce(0, { $0 + $1.hanging }) < hanging.count
          || clock.sleeping < 4 - hanging.count
        {
          await Task.yield()
        }
        clock.advance(.seconds(pause))
      }
      await node.expectAtRest("\(hanging)")
      for place in [3, 4, 5] where !hanging.contains(place) {
        #expect(node.stores[place].chunks.count == 1)
      }
      await node.close()
    }
  }
}
