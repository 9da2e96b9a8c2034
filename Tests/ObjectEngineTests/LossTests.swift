import Base
import Cluster
import Foundation
import Metadata
import ObjectEngine
import Runtime
import Testing

/// What happens to the chunks of a store.
enum Damage: String, CaseIterable, Sendable {
  case deleted, corrupted, truncated, swapped
}

/// A closed installation with all samples in it, made once and copied by each test.
enum Template {
  static let samples = Task {
    let plan = InstallationPlan(seed: 42)
    let installation = try await Installation.open(plan)
    _ = try await installation.putSamples()
    await installation.close()
    return plan
  }
}

struct Pair: Sendable, CustomTestStringConvertible {
  let first: Int
  let second: Int

  static let all = (0..<5).flatMap { first in
    (first + 1..<6).map { Pair(first: first, second: $0) }
  }

  var members: [Int] { [first, second] }
  var testDescription: String { "stores \(first) and \(second)" }
}

extension InstallationPlan {
  /// The files of a store that hold chunks.
  func chunkFiles(ofStore index: Int) -> [String] {
    ["chunks", "volumes"].flatMap { part -> [String] in
      let root = path(ofStore: index) + "/" + part
      let names = FileManager.default.enumerator(atPath: root)?.allObjects as? [String] ?? []
      return names.sorted().map { root + "/" + $0 }.filter { path in
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        return exists && !isDirectory.boolValue
      }
    }
  }

  func damage(_ stores: [Int], _ damage: Damage, random: SeededRandom) throws {
    switch damage {
    case .deleted:
      for path in stores.flatMap(chunkFiles) { try FileManager.default.removeItem(atPath: path) }
    case .corrupted:
      for path in stores.flatMap(chunkFiles) { try flipBits(path, random: random) }
    case .truncated:
      for path in stores.flatMap(chunkFiles) {
        let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
        guard size > 0, let handle = FileHandle(forWritingAtPath: path) else { continue }
        try handle.truncate(atOffset: random.next() % UInt64(size))
        try handle.close()
      }
    case .swapped:
      let files = FileManager.default
      for part in ["chunks", "volumes"] {
        let paths = stores.map { path(ofStore: $0) + "/" + part }
        try files.moveItem(atPath: paths[0], toPath: paths[0] + ".aside")
        try files.moveItem(atPath: paths[1], toPath: paths[0])
        try files.moveItem(atPath: paths[0] + ".aside", toPath: paths[1])
      }
    }
  }

  /// Flips bits at the start, in the middle, at the end and anywhere in a file.
  private func flipBits(_ path: String, random: SeededRandom) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    guard !bytes.isEmpty else { return }
    var places = [
      Int(random.next() % 64), bytes.count / 2, bytes.count - 1 - Int(random.next() % 64),
    ]
    places += (0..<4).map { _ in Int(random.next() % UInt64(bytes.count)) }
    for place in places {
      bytes[min(max(place, 0), bytes.count - 1)] ^= UInt8(1) << UInt8(random.next() % 8)
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }
}

@Suite("Loss of stores")
struct LossTests {
  @Test(
    "any two stores may lose, garble, cut off or swap their chunks: everything reads, and a scrub makes it whole",
    arguments: Pair.all, Damage.allCases)
  func pair(pair: Pair, damage: Damage) async throws {
    let seed = UInt64(pair.first * 100 + pair.second * 10 + Damage.allCases.firstIndex(of: damage)!)
    let random = SeededRandom(seed: seed)
    let plan = try await Template.samples.value.copy()
    try plan.damage(pair.members, damage, random: random)
    let installation = try await Installation.open(plan)
    #expect(try await installation.unreadableSamples() == [], "seed \(seed)")

    let background = BackgroundWork(
      engine: installation.engine, pool: Installation.pool, log: .none)
    let report = try await installation.onPool { try await background.scrub.runRequested() }
    #expect(report.state == .finished)
    #expect(report.isClean, "\(report)")
    #expect(report.repaired > 0)
    #expect(report.inlineObjects == 2)
    #expect(report.repaired == report.missing + report.corrupt)

    // Every chunk is what it was: so any other pair may be lost.
    let again = try await installation.onPool { try await background.scrub.runRequested() }
    #expect(again.goodChunks == again.chunks, "\(again)")
    #expect(again.chunks == again.extents * 6)
    #expect(try await installation.store.counts().repairs == 0)
    for other in Pair.all where (other.first + other.second + Int(seed)) % 5 == 0 {
      let engine = installation.engine(hiding: Set(other.members))
      #expect(try await installation.unreadableSamples(by: engine, ranges: false) == [])
    }
    await installation.close()
  }
}
