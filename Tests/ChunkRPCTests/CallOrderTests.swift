import Base
import ChunkRPC
import ChunkStore
import Runtime
import TestSupport
import Testing

@Suite struct CallOrderTests {
  static let chunk = SampleChunk(1, length: 640)
  static let refusal = ChunkStoreError.io("others have taken this work over")

  private static func call(_ kind: String, _ connection: any StorageServerConnection) async throws {
    let store = connection.store(Sample.storeID)
    switch kind {
    case "put": try await SampleChunk(3, length: 640).put(to: store)
    case "put long": try await SampleChunk(4, length: 1 << 20).put(to: store)
    case "open": try await store.openChunk(chunk.id).close()
    case "stat": _ = try await store.stat(chunk.id)
    case "verify": try await store.verify(chunk.id)
    case "list": _ = try await store.list(from: nil, limit: 10)
    case "delete": try await store.delete([SampleChunk(2, length: 640).id])
    default: _ = try await connection.health()
    }
  }

  private static func readsBack(_ store: any ChunkStore) async throws {
    let bytes = try await readAll(chunk.id, from: store)
    #expect(bytes == chunk.bytes)
  }

  @Test(
    "a deletion that comes after a call of later work is refused",
    arguments: ["put", "put long", "open", "stat", "verify", "list", "delete", "health"])
  func refusal(_ kind: String) async throws {
    try await withConnection([try Sample.store()]) { connection in
      try await Self.refuses(after: kind, connection)
    }
  }

  private static func refuses(
    after kind: String, _ connection: any StorageServerConnection
  ) async throws {
    let store = connection.store(Sample.storeID)
    let other = SampleChunk(2, length: 640)
    #expect(await FixedStamp(5).failure { try await chunk.put(to: store) } == nil)
    #expect(await FixedStamp(5).failure { try await other.put(to: store) } == nil)
    #expect(await FixedStamp(5, 1).failure { try await call(kind, connection) } == nil)
    for late in [FixedStamp(5), FixedStamp(4, 9)] {
      #expect(await late.failure { try await store.delete([chunk.id]) } == refusal)
    }
    // Nothing but deletions is refused.
    #expect(await FixedStamp(1).failure { try await readsBack(store) } == nil)
    #expect(await FixedStamp(5, 1).failure { try await store.delete([chunk.id]) } == nil)
    #expect(await failure { try await store.stat(chunk.id) } == .missing)
    #expect(await FixedStamp(6).failure { try await store.delete([chunk.id]) } == nil)
  }

  @Test("a deletion without a stamp is refused, and all else goes without")
  func unstamped() async throws {
    try await withServer([try Sample.store()]) { server in
      let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: .patient)
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let store = connection.store(Sample.storeID)
      try await Self.chunk.put(to: store)
      #expect(await failure { try await store.delete([Self.chunk.id]) } != nil)
      #expect(
        server.counters.snapshot.requests.contains {
          $0.method == "DeleteChunks" && $0.status == .invalidArgument
        })
      try await Self.readsBack(store)
      #expect(await FixedStamp(1).failure { try await store.delete([Self.chunk.id]) } == nil)
      #expect(await failure { try await store.stat(Self.chunk.id) } == .missing)
      await connection.close()
    }
  }

  @Test("what is asked for later waits for a deletion that runs")
  func waiting() async throws {
    let store = FaultyStore(error: nil)
    try await withServer([store]) { server in
      let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: .patient)
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let remote = connection.store(Sample.storeID)
      let deletion = Task {
        await FixedStamp(1).failure { try await remote.delete([Self.chunk.id]) }
      }
      try await eventually { store.deleting.load(ordering: .relaxed) == 1 }
      let put = Task {
        await FixedStamp(2).failure { try await FaultTests.chunk.put(to: remote) }
      }
      // A call that gives up while it waits leaves nothing behind.
      let vain = Task {
        await FixedStamp(3).failure { _ = try await remote.stat(Self.chunk.id) }
      }
      try await eventually { server.counters.snapshot.active == 3 }
      vain.cancel()
      #expect(await vain.value != nil)
      try await eventually { server.counters.snapshot.active == 2 }
      #expect(store.begun.load(ordering: .relaxed) == 0)
      // One without a stamp, and a look at its health, wait for nothing.
      _ = try await connection.health()
      _ = try await FixedStamp(9).with { _ = try await connection.health() }
      let unstamped = try await remote.beginChunk(FaultTests.chunk.header)
      try await unstamped.append(FaultTests.chunk.buffer(), 0..<262_144)
      try await eventually { store.begun.load(ordering: .relaxed) == 1 }
      await unstamped.abort()
      store.gate.open()
      #expect(await deletion.value == nil)
      #expect(await put.value == nil)
      #expect(store.events.withLock { $0 } == ["begun", "deleted", "begun"])
      await connection.close()
    }
  }

  @Test("a deletion ends with the lease of its work")
  func leaseEnd() async throws {
    let store = FaultyStore(error: nil)
    try await withConnection([store]) { connection in
      let remote = connection.store(Sample.storeID)
      let late = await FixedStamp(1, timeLeft: .milliseconds(300)).failure {
        try await remote.delete([Self.chunk.id])
      }
      #expect(late == .offline("no answer in time"))
      let begun = store.deleting.load(ordering: .relaxed)
      let never = await FixedStamp(1, timeLeft: .zero).failure {
        try await remote.delete([Self.chunk.id])
      }
      #expect(never == .offline("another process does this work now"))
      #expect(store.deleting.load(ordering: .relaxed) == begun)
    }
  }

  @Test("a stamp is two decimal numbers with a dot")
  func stamps() {
    #expect(CallStamp("12.3") == CallStamp(fence: 12, attempt: 3))
    let largest = CallStamp(fence: .max, attempt: .max)
    #expect(CallStamp(largest.description) == largest)
    for text in [
      "", ".", "1", "1.", ".1", "1.2.3", "-1.0", "+1.0", "1 .0", "18446744073709551616.0",
    ] {
      #expect(CallStamp(text) == nil, "\(text)")
    }
    #expect(CallStamp(fence: 1, attempt: 9) < CallStamp(fence: 2, attempt: 0))
    #expect(CallStamp(fence: 1, attempt: 1) < CallStamp(fence: 1, attempt: 2))
  }
}
