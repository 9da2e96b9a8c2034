import Base
import Metadata
import TestSupport
import Testing

@Suite("Confirmations of deletions")
struct ConfirmationTests {
  private static let count = 150

  /// Tombstones of as many extents, each of six chunks.
  private static func tombstones(in fixture: Fixture) async throws -> [ExtentID] {
    let bucket = try await fixture.bucket()
    let extents = try await fixture.object(ofExtents: count, in: bucket)
    _ = try await fixture.store.delete(
      bucket: bucket.id, key: .init(key: "all"), versionID: nil, condition: .none)
    fixture.clock.advance(milliseconds: 10)
    return extents.map(\.id)
  }

  @Test(
    "a batch confirms each tombstone as it would be by itself", arguments: DatabaseKind.available)
  func mixed(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let extents = try await Self.tombstones(in: fixture)
    try await store.confirm([(extents[1], 0b000111)])
    var batch = extents.dropLast().map { (extent: $0, chunks: UInt32(0b111111)) }
    batch[0].chunks = 0b000001
    batch[1].chunks = 0b111000
    batch[2].chunks = 0
    batch[31].chunks = 0b011111
    batch.append((fixture.extent(1).id, 0b111111))
    try await store.confirm(batch)
    let left = try await store.tombstones(before: fixture.clock.now, limit: Self.count)
    #expect(
      Dictionary(uniqueKeysWithValues: left.map { ($0.extent, $0.unconfirmed) }) == [
        extents[0]: 0b111110, extents[2]: 0b111111, extents[31]: 0b100000,
        extents[Self.count - 1]: 0b111111,
      ])
    try await store.confirm([])
    await fixture.close()
  }

  @Test(
    "a batch waits for a few answers, not for one of each tombstone",
    .enabled(if: PostgresServer.isInstalled))
  func roundTrips() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let extents = try await Self.tombstones(in: fixture)
    let before = fixture.roundTrips
    try await fixture.store.confirm(extents.map { ($0, 0b111111) })
    #expect(fixture.roundTrips - before <= 8)
    #expect(try await fixture.store.counts().tombstones == 0)
    await fixture.close()
  }
}
