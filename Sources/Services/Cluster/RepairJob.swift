import Base
import Metadata

/// A repair on its way.
struct RepairJob {
  let extent: Extent
  /// Chunks that were asked for.
  let wanted: UInt32
  /// Those that turned out to be there.
  var good: UInt32 = 0
  /// Those that are there and not what was written.
  var corrupt: UInt32 = 0
  /// Where the others go, by chunk index.
  var targets: [Int: StoreID] = [:]
  /// Those that are durable at their target.
  var written: [Int: StoreID] = [:]
  /// Whether the chunks are good where they are and are to lie elsewhere.
  var isMove = false
  /// Why one of them could not be made.
  var obstacle: String?

  /// Those that are there by now.
  var done: UInt32 { written.keys.reduce(good) { $0 | 1 << UInt32($1) } }

  init(extent: Extent, wanted: UInt32) {
    self.extent = extent
    self.wanted = wanted
  }
}

extension UInt32 {
  /// The numbers of the bits that are set, ascending.
  var bits: [Int] { (0..<32).filter { self & 1 << UInt32($0) != 0 } }
}
