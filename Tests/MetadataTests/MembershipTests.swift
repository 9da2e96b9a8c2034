import Base
import Metadata
import MetadataSQLite
import Runtime
import Testing

@Suite("Members of a cluster in metadata")
struct MembershipTests {
  private func registration(
    _ number: UInt64, stores: Int = 2, address: String? = nil
  ) -> StorageServerRegistration {
    StorageServerRegistration(
      id: ServerID(high: 1, low: number), address: address ?? "host\(number):50051", zone: "z",
      version: "1.0",
      stores: (0..<stores).map { (id: StoreID(high: number, low: UInt64($0)), weight: 100) })
  }

  private func state(_ store: SQLMetadataStore, _ id: StoreID) async throws -> StoreRecord.State? {
    try await store.members().stores.first { $0.id == id }?.state
  }

  @Test("servers register, change and come back", arguments: DatabaseKind.available)
  func registration(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    #expect(try await store.members().servers.isEmpty)
    let first = try await store.ringVersion()
    try await store.register(registration(1))
    try await store.register(registration(2))
    let second = try await store.ringVersion()
    #expect(second == first + 2)
    // The same again is nothing new.
    try await store.register(registration(1))
    #expect(try await store.ringVersion() == second)
    try await store.register(registration(1, stores: 3, address: "other:1"))
    var members = try await store.members()
    #expect(members.ringVersion == second + 1)
    #expect(members.time == fixture.clock.now)
    #expect(members.servers.map(\.address) == ["other:1", "host2:50051"])
    #expect(members.stores.map(\.ordinal) == [0, 1, 2, 0, 1])
    #expect(members.stores.allSatisfy { $0.state == .active && $0.weight == 100 })
    // A store of another server is refused, and nothing is changed.
    var foreign = registration(3)
    foreign.stores = [(id: StoreID(high: 1, low: 0), weight: 1)]
    let refused = foreign
    await #expect(throws: MetadataError.alreadyExists("store")) {
      try await store.register(refused)
    }
    #expect(try await store.members() == members)
    // Once its server has left, it may; it counts after it was compared.
    try await store.setServerState(ServerID(high: 1, low: 1), .left)
    #expect(try await state(store, StoreID(high: 1, low: 0)) == .left)
    try await store.register(refused)
    #expect(try await state(store, StoreID(high: 1, low: 0)) == .lost)
    try await store.register(registration(2))
    try await store.setServerState(ServerID(high: 1, low: 2), .left)
    try await store.register(registration(2))
    members = try await store.members()
    #expect(members.servers.first { $0.id.low == 2 }?.state == .active)
    #expect(try await state(store, StoreID(high: 2, low: 1)) == .lost)
    await #expect(throws: MetadataError.notFound("storage server")) {
      try await store.setServerState(ServerID(high: 9, low: 9), .draining)
    }
    await fixture.close()
  }

  @Test("many heartbeats are recorded at once", arguments: DatabaseKind.available)
  func heartbeats(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    for number in 1...70 { try await store.register(registration(UInt64(number), stores: 1)) }
    let before = try await store.members()
    let ring = before.ringVersion
    fixture.clock.advance(milliseconds: 10_000)
    let some = before.servers.filter { $0.id.low % 2 == 0 }.map(\.id)
    let stores = before.stores.filter { $0.server.low % 2 == 0 }.map(\.id)
    try await store.recordHeartbeats(servers: some, stores: stores)
    try await store.recordHeartbeats(servers: [], stores: [])
    try await store.recordUsage(
      [StoreUsage(id: stores[0], capacity: 10, available: 5, chunkCount: 3)],
      versions: [some[0]: "2.0"])
    let after = try await store.members()
    #expect(after.ringVersion == ring)
    for server in after.servers {
      let seen = server.id.low % 2 == 0 ? after.time : before.time
      #expect(server.lastHeartbeat == seen)
      #expect(server.version == (server.id == some[0] ? "2.0" : "1.0"))
    }
    for one in after.stores {
      #expect(one.lastSeen == (one.server.low % 2 == 0 ? after.time : before.time))
      #expect(one.chunkCount == (one.id == stores[0] ? 3 : 0))
    }
    await fixture.close()
  }

  @Test(
    "states and weights change, each change numbers a new ring", arguments: DatabaseKind.available)
  func changes(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    for number in 1...4 { try await store.register(registration(UInt64(number))) }
    let ids = try await store.members().stores.map(\.id)
    var ring = try await store.ringVersion()
    func expectRaised(_ isRaised: Bool) async throws {
      let now = try await store.ringVersion()
      #expect(now == ring + (isRaised ? 1 : 0))
      ring = now
    }
    try await store.setStoreWeight(ids[0], 50)
    try await expectRaised(true)
    try await store.setStoreWeight(ids[0], 50)
    try await expectRaised(false)
    #expect(
      try await store.declareLost([ids[0], ids[1]], of: ServerID(high: 1, low: 1), limit: 2))
    try await expectRaised(true)
    #expect(try await store.declareLost([ids[2]], of: ServerID(high: 1, low: 2), limit: 2))
    try await expectRaised(true)
    #expect(try await !store.declareLost([ids[4]], of: ServerID(high: 1, low: 3), limit: 2))
    try await expectRaised(false)
    #expect(try await state(store, ids[4]) == .active)
    try await store.setStoreState(ids[0], .active)
    try await expectRaised(true)
    // Only what is active may take a place.
    await #expect(throws: MetadataError.preconditionFailed) {
      try await store.replaceStore(ids[0], with: ids[1])
    }
    try await store.replaceStore(ids[0], with: ids[4])
    try await expectRaised(true)
    #expect(try await store.members().stores.first { $0.id == ids[4] }?.weight == 50)
    #expect(try await state(store, ids[0]) == .left)
    try await store.replaceServer(ServerID(high: 1, low: 2), with: ServerID(high: 1, low: 4))
    try await expectRaised(true)
    #expect(try await state(store, ids[3]) == .left)
    #expect(try await store.members().servers.map(\.state) == [.active, .left, .active, .active])
    await fixture.close()
  }

  @Test(
    "a ring is numbered once by each of many changes at once", arguments: DatabaseKind.available)
  func concurrency(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let before = try await store.ringVersion()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...20 {
        group.addTask { try await store.register(registration(UInt64(number))) }
      }
      try await group.waitForAll()
    }
    #expect(try await store.ringVersion() == before + 20)
    await fixture.close()
  }

  @Test("what was replaced leaves, once, and its weight stays", arguments: DatabaseKind.available)
  func replacedMembers(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let ids = (1...9).map { StoreID(high: 0x5, low: UInt64($0)) }
    let servers = (1...3).map { ServerID(high: 0x6, low: UInt64($0)) }
    func registration(_ server: Int, _ stores: [Int]) -> StorageServerRegistration {
      StorageServerRegistration(
        id: servers[server], address: "host\(server):1", zone: "", version: "1",
        stores: stores.map { (id: ids[$0], weight: 100) })
    }
    func states() async throws -> [StoreRecord.State] {
      let found = try await store.members().stores
      return ids.compactMap { id in found.first { $0.id == id }?.state }
    }
    try await store.register(registration(0, [0, 1]))
    try await store.register(registration(1, [2]))
    try await store.setStoreWeight(ids[1], 250)
    // A disk.
    var changed = registration(0, [0, 3])
    changed.replacedStores = [.init(old: ids[1], new: ids[3]), .init(old: ids[2], new: ids[0])]
    let ring = try await store.ringVersion()
    try await store.register(changed)
    #expect(try await store.ringVersion() > ring)
    #expect(try await states() == [.active, .left, .active, .active])
    #expect(try await store.members().stores.first { $0.id == ids[3] }?.weight == 250)
    // Said again, it changes nothing.
    let after = try await store.ringVersion()
    try await store.register(changed)
    #expect(try await store.ringVersion() == after)
    // A server: by a new one only.
    var known = registration(1, [2])
    known.replacing = servers[0]
    try await store.register(known)
    #expect(try await store.members().servers.allSatisfy { $0.state == .active })
    var new = registration(2, [4, 5])
    new.replacing = servers[0]
    try await store.register(new)
    #expect(try await states() == [.left, .left, .active, .left, .active, .active])
    let members = try await store.members()
    #expect(members.servers.map(\.state) == [.left, .active, .active])
    #expect(members.stores.first { $0.id == ids[5] }?.weight == 250)
    let last = try await store.ringVersion()
    try await store.register(new)
    #expect(try await store.ringVersion() == last)
    await fixture.close()
  }

  @Test("the fence of a lease is above all of the time before", arguments: DatabaseKind.available)
  func fenceFloor(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let length = Duration.seconds(30)
    // After a database was lost or put back, epochs are left out.
    let epoch = try await store.beginWriter(minimum: 70_000, ringVersion: 0, lease: length).epoch
    let first = try #require(try await store.acquireLease("work", holder: 1, length: length))
    #expect(first >= Int64(epoch))
    #expect(try await store.acquireLease("work", holder: 1, length: length) == first + 1)
    await fixture.close()
  }

  @Test("a lease has one holder, and a new fence each time", arguments: DatabaseKind.available)
  func leases(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let length = Duration.seconds(30)
    let winners = try await withThrowingTaskGroup(of: Int64?.self) { group in
      for holder in 1...10 {
        group.addTask {
          try await store.acquireLease("work", holder: Int64(holder), length: length)
        }
      }
      return try await group.reduce(into: 0) { $0 += $1 == nil ? 0 : 1 }
    }
    #expect(winners == 1)
    fixture.clock.advance(milliseconds: 30_001)
    #expect(try await store.acquireLease("work", holder: 100, length: length) == 2)
    #expect(try await store.acquireLease("work", holder: 101, length: length) == nil)
    #expect(try await store.acquireLease("other", holder: 101, length: length) == 1)
    fixture.clock.advance(milliseconds: 20_000)
    #expect(try await store.renewLease("work", holder: 100, fence: 2, length: length))
    #expect(try await !store.renewLease("work", holder: 100, fence: 1, length: length))
    #expect(try await !store.renewLease("work", holder: 101, fence: 2, length: length))
    fixture.clock.advance(milliseconds: 20_000)
    #expect(try await store.acquireLease("work", holder: 101, length: length) == nil)
    try await store.releaseLease("work", holder: 100, fence: 2)
    #expect(try await store.acquireLease("work", holder: 101, length: length) == 3)
    let stale = WorkLease(
      name: "work", holder: 100, fence: 2, until: .seconds(1 << 40),
      clock: SystemMonotonicClock())
    await #expect(throws: MetadataError.fenced) {
      try await WorkLease.$current.withValue(stale) { try await store.setSetting("a", [1]) }
    }
    let live = WorkLease(
      name: "work", holder: 101, fence: 3, until: .seconds(1 << 40),
      clock: SystemMonotonicClock())
    try await WorkLease.$current.withValue(live) { try await store.setSetting("a", [1]) }
    await fixture.close()
  }

  @Test(
    "writers whose lease ran out are fenced, the others are not", arguments: DatabaseKind.available)
  func writers(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    let renewed = try await store.renewWriter(
      WriterRenewal(length: .seconds(30), ringVersion: 7, readAge: { .seconds(5) }))
    #expect(try await store.writerWitness() == renewed)
    let writer = try #require(await store.liveWriters().first)
    #expect(writer.ringVersion == 7)
    #expect(writer.oldestRead == fixture.clock.now.advanced(byMilliseconds: -5000))
    #expect(writer.leaseEnd == fixture.clock.now.advanced(byMilliseconds: 30_000))
    fixture.clock.advance(milliseconds: 29_000)
    #expect(try await store.fenceExpiredWriters().isEmpty)
    _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "a")))
    fixture.clock.advance(milliseconds: 1001)
    #expect(try await store.fenceExpiredWriters() == [writer.epoch])
    #expect(try await store.liveWriters().isEmpty)
    #expect(try await store.unsweptEpochs() == [writer.epoch])
    await #expect(throws: MetadataError.fenced) {
      try await store.commit(fixture.inlineCommit(bucket, .init(key: "b")))
    }
    await #expect(throws: MetadataError.fenced) {
      try await store.renewWriter(
        WriterRenewal(length: .seconds(30), ringVersion: 7, since: renewed))
    }
    let again = try await store.beginWriter(minimum: 0, ringVersion: 8, lease: .seconds(30))
    #expect(again.epoch > writer.epoch)
    // What was begun under the former epoch stays out.
    await #expect(throws: MetadataError.fenced) {
      try await store.commit(
        fixture.extentCommit(bucket, .init(key: "b"), extents: [fixture.extent(5)]))
    }
    await fixture.close()
  }

  @Test("what the metadata says of extents", arguments: DatabaseKind.available)
  func standings(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    let extents = (0..<40).map { _ in fixture.extent(100) }
    for (number, extent) in extents.enumerated() {
      _ = try await store.commit(
        fixture.extentCommit(bucket, .init(key: "key\(number)"), extents: [extent]))
    }
    _ = try await store.delete(
      bucket: bucket.id, key: .init(key: "key0"), versionID: nil, condition: .none)
    let young = fixture.extent(1).id
    let strange = ExtentID(epoch: 77, random: (1, 1))
    let asked = extents.map(\.id) + [young, strange]
    var found = try await store.standings(of: asked)
    #expect(found.count == 42)
    #expect(found[extents[0].id] == .dead(stores: Fixture.stores))
    for extent in extents[1...] { #expect(found[extent.id] == .owned(stores: Fixture.stores)) }
    #expect(found[young] == .unknown)
    #expect(found[strange] == .orphaned)
    fixture.clock.advance(milliseconds: 60_000)
    _ = try await store.fenceExpiredWriters()
    found = try await store.standings(of: asked)
    #expect(found[young] == .garbage)
    #expect(found[strange] == .orphaned)
    #expect(found[extents[1].id] == .owned(stores: Fixture.stores))
    #expect(try await store.standings(of: []).isEmpty)
    await fixture.close()
  }

  @Test(
    "repairs that were put off are tried again when they are hastened, so many at a time",
    arguments: DatabaseKind.available)
  func hastening(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    let extents = (0..<10).map { _ in fixture.extent(100, missing: 1) }
      .sorted { $0.id < $1.id }
    for (number, extent) in extents.enumerated() {
      _ = try await store.commit(
        fixture.extentCommit(bucket, .init(key: "key\(number)"), extents: [extent]))
      // One of them is not put off.
      if number != 2 { try await store.postponeRepair(extent.id, reason: "no store") }
    }
    func due() async throws -> [ExtentID] {
      try await store.repairs(limit: 100).map(\.extent.id).sorted()
    }
    let ids = extents.map(\.id)
    #expect(try await due() == [ids[2]])
    var last: ExtentID?
    for count in [4, 8] {
      last = try await store.hastenRepairs(after: last, limit: 4)
      #expect(last == ids[count - 1])
      #expect(try await due() == Array(ids[..<count]))
    }
    #expect(try await store.hastenRepairs(after: last, limit: 4) == nil)
    #expect(try await due() == ids)
    #expect(try await store.hastenRepairs(after: ids[9], limit: 4) == nil)
    await fixture.close()
  }
}
