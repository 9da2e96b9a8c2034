/// How many virtual nodes each store gets, so that what it holds in the end follows its weight.
///
/// An extent takes `width` different servers. Drawing without putting back favours the light ones:
/// a server of weight w is among them with a probability near 1 − exp(−r·w), not in proportion to
/// w. So a server whose fair share of the extents is p gets points in proportion to −ln(1 − p).
enum PlacementShares {
  /// No more than this part of all extents is aimed at, since a server has one chunk of each.
  private static let largestShare = 0.95

  /// Points of each store; at least one.
  static func pointCounts(
    weights: [Int], servers: [Int], serverCount: Int, width: Int
  ) -> [Int] {
    let clamped = weights.map { Double(min(max($0, 1), PlacementNode.maximumWeight)) }
    var serverWeights = [Double](repeating: 0, count: serverCount)
    for (store, server) in servers.enumerated() { serverWeights[server] += clamped[store] }
    let total = serverWeights.reduce(0, +)
    // With too few servers each has a part of every extent, whatever its weight.
    let chosen = Double(min(width, serverCount))
    let average = correction(chosen / Double(max(serverCount, 1)))
    return servers.enumerated().map { store, server in
      let share = chosen * serverWeights[server] / total
      let ratio = correction(share) / average
      let points =
        clamped[store] * Double(PlacementRing.pointsPerOrdinaryStore)
        / Double(PlacementNode.ordinaryWeight) * ratio
      return max(1, Int(points.rounded()))
    }
  }

  /// −ln(1 − p) / p, by its series, which is the same to the last bit on every machine.
  private static func correction(_ share: Double) -> Double {
    let share = min(share, largestShare)
    var sum = 0.0
    var power = 1.0
    for term in 1...400 {
      sum += power / Double(term)
      power *= share
    }
    return sum
  }
}
