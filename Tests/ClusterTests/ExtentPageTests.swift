import Base
import Metadata
import Testing

@testable import Cluster

@Suite("A page that several lanes work through")
struct ExtentPageTests {
  private static let extents = (1...3).map { number in
    Extent(
      id: ExtentID(epoch: 1, random: (0, UInt64(number))), dataCount: 4, parityCount: 2,
      plaintextLength: 1, transform: 0, wrappedKey: [], stores: [], digests: [])
  }

  @Test("one lane turns the page once all of it is done, and none takes of it before")
  func turning() throws {
    var page = ExtentPage()
    #expect(page.take().isLoad)
    #expect(page.take().isWait)
    page.load(Self.extents)
    #expect(page.take().isWait)
    page.endTurning()
    #expect(page.take().extent == Self.extents[0])
    #expect(page.take().extent == Self.extents[1])
    #expect(page.pass() == nil)
    page.giveBack(Self.extents[1])
    #expect(page.take().extent == Self.extents[1])
    #expect(page.take().extent == Self.extents[2])
    #expect(page.take().isWait)
    #expect(page.pass() == nil)
    #expect(page.pass() == Self.extents[2].id)
    #expect(page.take().isWait)
    page.endTurning()
    #expect(page.take().isLoad)
  }
}

extension ExtentPage.Turn {
  fileprivate var extent: Extent? {
    if case .extent(let extent) = self { extent } else { nil }
  }
  fileprivate var isLoad: Bool { if case .load = self { true } else { false } }
  fileprivate var isWait: Bool { if case .wait = self { true } else { false } }
}
