import Base
import Metadata

/// A page of a walk along all extents, through which several lanes work: when all of it is done, one
/// of them turns it.
struct ExtentPage {
  /// What a lane has to do.
  enum Turn {
    /// This extent; `pass` or `giveBack` ends it.
    case extent(Extent)
    /// The next page is to be had; `endTurning` ends it.
    case load
    /// Others are at what is left of the page, or turn it.
    case wait
  }

  /// What nobody is at, the next extent last.
  private var rest: [Extent] = []
  private var end: ExtentID?
  private var underWay = 0
  private var isTurning = false

  /// What the calling lane has to do.
  mutating func take() -> Turn {
    guard !isTurning else { return .wait }
    if let extent = rest.popLast() {
      underWay += 1
      return .extent(extent)
    }
    guard underWay == 0 else { return .wait }
    isTurning = true
    return .load
  }

  /// Has `extents` done next, once the turning has ended.
  mutating func load(_ extents: [Extent]) {
    rest = extents.reversed()
    end = extents.last?.id
  }

  /// Whoever comes next may take of the page, or turn it.
  mutating func endTurning() { isTurning = false }

  /// Says that an extent is done with. When it was the last of the page: where that ends, and from
  /// now on the calling lane turns it.
  mutating func pass() -> ExtentID? {
    underWay -= 1
    guard rest.isEmpty, underWay == 0 else { return nil }
    isTurning = true
    return end
  }

  /// Says that an extent is to be done again.
  mutating func giveBack(_ extent: Extent) {
    underWay -= 1
    rest.append(extent)
  }
}
