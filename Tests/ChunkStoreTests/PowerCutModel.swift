import Base
import ChunkStore
import Disk
import Runtime
import TestSupport
import Testing

/// Random operations on a store whose power is cut at a random moment, and what must be true of
/// the store afterwards.
struct PowerCutModel {
  /// What may be found of a chunk.
  struct Expectation {
    /// The contents that may be found.
    var contents: Set<SampleChunk> = []
    /// Whether it may be missing.
    var mayBeMissing = true
  }

  private let random: SeededRandom
  private(set) var expected: [ChunkID: Expectation] = [:]
  private var generation: UInt64 = 0

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
  }

  /// Below `limit`.
  private func pick(_ limit: Int) -> Int {
    Int(random.next() % UInt64(limit))
  }

  private mutating func sample() -> SampleChunk {
    generation += 1
    let number = pick(24)
    // The length follows from the number: a chunk that is put again keeps its size.
    let length = number % 6 == 0 ? 140_032 : 64 * (1 + number * 41 % 700)
    return SampleChunk(
      UInt64(number), length: length, generation: generation, epoch: UInt64(1 + number % 3))
  }

  /// Does one operation; what fails may or may not have been done.
  mutating func step(on store: LocalChunkStore) async {
    switch pick(12) {
    case 0...6: await put(sample(), to: store)
    case 7...9: await delete(count: 1 + pick(3), from: store)
    case 10: try? await store.checkpoint(always: pick(2) == 0)
    default: _ = try? await store.compactStep()
    }
  }

  private mutating func put(_ chunk: SampleChunk, to store: LocalChunkStore) async {
    var after = expected[chunk.id] ?? Expectation()
    after.contents.insert(chunk)

    do {
      try await chunk.put(to: store)
      after = Expectation(contents: [chunk], mayBeMissing: false)
    } catch {}
    expected[chunk.id] = after
  }

  private mutating func delete(count: Int, from store: LocalChunkStore) async {
    let ids = (0..<count).map { _ in sample().id }

    do {
      try await store.delete(ids)
      for id in ids { expected[id] = Expectation() }
    } catch {
      for id in ids { expected[id, default: Expectation()].mayBeMissing = true }
    }
  }

  /// What the store has lost or brought back, in words; takes what was found for the truth.
  mutating func audit(_ store: LocalChunkStore) async throws -> [String] {
    var complaints: [String] = []
    for id in expected.keys.sorted() {
      guard let expectation = expected[id] else { continue }
      do {
        let bytes = try await readAll(id, from: store)
        if let found = expectation.contents.first(where: { $0.bytes == bytes }) {
          expected[id] = Expectation(contents: [found], mayBeMissing: false)
        } else {
          complaints.append("\(id): content that nobody put, or that was deleted")
        }
      } catch .missing {
        if !expectation.mayBeMissing { complaints.append("\(id): lost") }
        expected[id] = Expectation()
      } catch {
        complaints.append("\(id): \(error)")
      }
    }
    for id in try await listAll(store, limit: 50) where expected[id]?.contents.isEmpty != false {
      complaints.append("\(id): listed, and not there")
    }
    return complaints
  }

  /// A random life: rounds of operations, each ended by a power cut or a crash. Returns what was
  /// wrong.
  static func run(
    seed: UInt64, rounds: Int = 4,
    ignoresSync: @escaping @Sendable (DiskPath) -> Bool = { _ in false }
  ) async throws -> [String] {
    var model = PowerCutModel(seed: seed)
    var system = LossyFileSystem(ignoresSync: ignoresSync)
    // Made before anything can be lost: what is tested is what comes after.
    try StoreHarness(system).create()
    for round in 0..<rounds {
      var options = StoreHarness.smallOptions
      if model.pick(2) == 0 {
        // Short of space: holes are made in the volume that is written, too.
        let free = try system.space(DiskPath("/store", kind: "directory")).free
        options.reserveBytes = free - options.volumeSize
      }
      let store = try StoreHarness(system, options: options).open()
      system.cutPower(afterChanges: model.pick(120))
      if model.pick(2) == 0 { system.leaveFailedWrites() }
      var steps = 0
      while !system.isOff, steps < 60 {
        if model.pick(12) == 0 {
          let passing = model.pick(3)
          system.inject(.init(.write, after: passing, times: 1, code: .noSpace))
        }
        await model.step(on: store)
        steps += 1
      }
      system = model.pick(4) == 0 ? { system.afterCrash() }() : system.afterPowerCut(model.random)
      if model.pick(3) == 0 {

        // Without a checkpoint the volumes alone must tell the same.
        try? system.delete(DiskPath("/store/volumes/index", kind: "index"))
        try? system.syncDirectory(DiskPath("/store/volumes", kind: "directory"))
      }

      let complaints = try await model.audit(try StoreHarness(system).open())
      if !complaints.isEmpty {
        return complaints.map { "seed \(seed), round \(round): \($0)" }
      }
    }
    return []
  }
}
