import Base
import Metadata
import Testing

@Suite("A database that was put back to an earlier state")
struct TimelineTests {
  /// What a gateway saw of `store`'s writer some time later, which the database does not know.
  private func later(_ store: SQLMetadataStore) async throws -> WriterWitness {
    var witness = try #require(try await store.writerWitness())
    witness.leaseEnd = witness.leaseEnd.advanced(byMilliseconds: 10_000)
    return witness
  }

  @Test("a database that goes on is no earlier one", arguments: DatabaseKind.available)
  func goesOn(_ kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let witness = try #require(try await store.writerWitness())
    #expect(try await !store.isBefore(witness))
    fixture.clock.advance(seconds: 5)
    try await store.renewWriter(oldestRead: nil)
    let renewed = try #require(try await store.writerWitness())
    #expect(renewed.leaseEnd > witness.leaseEnd)
    #expect(try await !store.isBefore(witness))
    #expect(try await !store.beginTimeline(after: witness))
    #expect(try await store.setting("hold_sweep") == nil)
    // Nor is one whose writers have come and gone since.
    for _ in 0..<3 { _ = try await store.beginWriter(minimum: 0, ringVersion: 0) }
    #expect(try await !store.isBefore(witness))
    await fixture.close()
  }

  @Test(
    "a new timeline fences all writers, leaves their epochs out, holds the sweep, ends the log",
    arguments: DatabaseKind.available)
  func begins(_ kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let id: [UInt8] = Array(repeating: 7, count: 16)
    #expect(try await store.beginChangeLog(id) == id)
    #expect(try await store.beginChangeLog(Array(repeating: 8, count: 16)) == id)
    let witness = try await later(store)
    #expect(try await store.isBefore(witness))
    let now = try await store.writerWitness()
    #expect(
      try await store.renewWriter(
        WriterRenewal(length: .seconds(60), ringVersion: 0, since: witness)) == nil)
    #expect(try await store.writerWitness() == now)
    #expect(try await store.beginTimeline(after: witness))
    #expect(try await store.setting("hold_sweep") == [1])
    #expect(try await store.changeLogID().isEmpty)
    await #expect(throws: MetadataError.fenced) { try await store.renewWriter(oldestRead: nil) }
    // Another gateway that saw the same finds it done.
    #expect(try await !store.isBefore(witness))
    #expect(try await !store.beginTimeline(after: witness))
    let next = try await store.beginWriter(minimum: 0, ringVersion: 0)
    #expect(next.epoch > witness.epoch + WriterWitness.timelineGap)
    await fixture.close()
  }

  @Test("a writer that the database does not know shows it too", arguments: DatabaseKind.available)
  func unknownWriter(_ kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let known = try #require(try await store.writerWitness())
    let witness = WriterWitness(epoch: known.epoch + 40, leaseEnd: known.leaseEnd)
    #expect(try await store.isBefore(witness))
    #expect(try await store.beginTimeline(after: witness))
    let next = try await store.beginWriter(minimum: 0, ringVersion: 0)
    #expect(next.epoch > witness.epoch + WriterWitness.timelineGap)
    await fixture.close()
  }

  @Test("an operator begins one when no gateway runs", arguments: DatabaseKind.available)
  func operated(_ kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    await #expect(throws: MetadataError.self) { try await store.beginTimeline() }
    #expect(try await store.setting("hold_sweep") == nil)
    fixture.clock.advance(seconds: 31)
    try await store.beginTimeline()
    #expect(try await store.setting("hold_sweep") == [1])
    await fixture.close()
  }
}
