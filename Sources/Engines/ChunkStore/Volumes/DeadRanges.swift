/// Where dead records lie that are not holes yet, by volume, in bytes.
///
/// A hint: nothing depends on what is forgotten, since compaction frees it too.
struct DeadRanges: Sendable {
  /// More are not remembered.
  static let limit = 65_536

  private var ranges: [UInt32: [Range<Int>]] = [:]
  private(set) var count = 0

  /// Remembers a record, while there is room.
  mutating func add(_ range: Range<Int>, of volume: UInt32) {
    guard count < Self.limit, !range.isEmpty else { return }
    ranges[volume, default: []].append(range)
    count += 1
  }

  /// The volumes that dead records are known of.
  var volumes: [UInt32] { ranges.keys.sorted() }

  /// Takes at most `limit` of a volume's records that end at or before `end`, from its beginning;
  /// those that touch come as one.
  mutating func take(_ limit: Int, of volume: UInt32, endingBy end: Int) -> [Range<Int>] {
    let sorted = (ranges[volume] ?? []).sorted { $0.lowerBound < $1.lowerBound }
    let taken = sorted.prefix(limit).prefix { $0.upperBound <= end }
    let rest = Array(sorted.dropFirst(taken.count))
    ranges[volume] = rest.isEmpty ? nil : rest
    count -= taken.count
    var result: [Range<Int>] = []
    for range in taken {
      if let last = result.last, last.upperBound == range.lowerBound {
        result[result.count - 1] = last.lowerBound..<range.upperBound
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// Forgets what is known of a volume.
  mutating func forget(_ volume: UInt32) {
    count -= ranges.removeValue(forKey: volume)?.count ?? 0
  }
}
