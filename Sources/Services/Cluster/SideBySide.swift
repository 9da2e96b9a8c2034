import ChunkStore
import Erasure
import Metadata
import ObjectEngine

/// Work on several extents at once, which shares syncs and commits: of small ones it is little but
/// waiting, while one large one has enough to do by itself.
enum SideBySide {
  /// Small extents that are worked on at once: so many that requests beside them are held up little
  /// more than by one.
  static let breadth = 2
  /// The same where one more loss would be a loss of content.
  static let urgentBreadth = 16

  /// Whether an extent's chunks come and go in one message each.
  static func isSmall(_ extent: Extent) -> Bool {
    guard let geometry = try? ObjectEngine.geometry(of: extent) else { return false }
    return geometry.chunkDataLength <= ChunkLimits.smallDataLength
  }

  /// The first extents of a page that `isToDo` holds of: one, or several small ones. It is asked in
  /// the order of the page, once for each.
  static func next(
    _ page: some Sequence<Extent>, isToDo: (Extent) async throws -> Bool
  ) async throws -> [Extent] {
    var chosen: [Extent] = []
    for extent in page where chosen.count < breadth {
      guard try await isToDo(extent) else { continue }
      let isSmall = isSmall(extent)
      if isSmall || chosen.isEmpty { chosen.append(extent) }
      guard isSmall else { break }
    }
    return chosen
  }

  /// Does `work` for all items at once, each to its end; the results in the order of the items.
  /// Throws what the first of them threw that failed.
  static func run<Item: Sendable, Result: Sendable>(
    _ items: [Item], _ work: @escaping @Sendable (Item) async throws -> Result
  ) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      for (index, item) in items.enumerated() {
        group.addTask { (index, try await work(item)) }
      }
      var results: [(index: Int, result: Result)] = []
      var failure: (any Error)?
      while let outcome = await group.nextResult() {
        switch outcome {
        case .success(let result): results.append(result)
        case .failure(let error): failure = failure ?? error
        }
      }
      if let failure { throw failure }
      return results.sorted { $0.index < $1.index }.map(\.result)
    }
  }
}
