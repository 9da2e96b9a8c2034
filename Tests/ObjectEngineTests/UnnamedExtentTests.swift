import Base
import Testing

@testable import ObjectEngine

@Suite("Extents that wait for their tombstones")
struct UnnamedExtentTests {
  @Test("they go in order, and are bounded")
  func bound() {
    let extents = UnnamedExtents()
    func some(_ numbers: Range<Int>) -> [(id: ExtentID, stores: [StoreID])] {
      numbers.map { (id: ExtentID(epoch: 1, random: (0, UInt64($0))), stores: []) }
    }
    #expect(extents.isEmpty)
    #expect(extents.add(some(0..<10)) == 10)
    #expect(extents.add(some(10..<UnnamedExtents.limit + 5)) == UnnamedExtents.limit - 10)
    #expect(extents.add(some(0..<1)) == 0)
    extents.removeFirst(7)
    #expect(extents.first(2).map(\.id) == some(7..<9).map(\.id))
    #expect(extents.add(some(0..<10)) == 7)
    extents.removeFirst(UnnamedExtents.limit)
    #expect(extents.isEmpty && extents.first(3).isEmpty)
  }
}
