import Runtime

/// Pulls a source and can tell whether more comes, which a stripe must know before it is sealed.
final class PeekingSource {
  private let source: any ObjectSource
  private let ahead = AlignedBuffer(count: 1)
  private var aheadRange = 0..<0

  init(_ source: any ObjectSource) { self.source = source }

  var expectedLength: Int64? { source.expectedLength }

  /// Reads until `limit` bytes are in `memory` from `offset` on, or the source ends; returns how
  /// many came.
  func fill(_ memory: AlignedBuffer, at offset: Int = 0, limit: Int) async throws -> Int {
    var count = min(limit, aheadRange.count)
    if count > 0 {
      let taken = aheadRange.lowerBound..<aheadRange.lowerBound + count
      memory.copy(from: ahead, taken, at: offset)
      aheadRange = taken.upperBound..<aheadRange.upperBound
    }
    while count < limit {
      let got = try await source.read(into: memory, at: offset + count, count: limit - count)
      if got == 0 { break }
      count += got
    }
    return count
  }

  /// Whether another byte comes. At the end of a source that frames or signs its content, this is
  /// where that end is checked.
  func hasMore() async throws -> Bool {
    if aheadRange.isEmpty {
      let got = try await source.read(into: ahead, at: 0, count: ahead.count)
      aheadRange = 0..<got
    }
    return !aheadRange.isEmpty
  }
}
