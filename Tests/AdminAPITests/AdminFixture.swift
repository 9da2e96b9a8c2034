import Access
import AdminAPI
import Base
import ChunkStore
import Crypto
import Erasure
import HTTPServer
import Metadata
import ObjectEngine
import Placement
import Runtime
import Sealing
import Signing
import Synchronization
import Telemetry
import Testing
import Trust

/// The Admin API over a real HTTP server, with everything below it in memory.
struct AdminFixture: Sendable {
  let metadata = FakeMetadata()
  let access: AccessControl
  let process = FakeProcess()
  let server: HTTPServer
  let port: UInt16

  /// `isWhole` says whether the process has scrub, workers, backups and a master key.
  init(isWhole: Bool = true, enrolment: EnrolmentService? = nil) throws {
    let stores = (0..<6).map { MemoryChunkStore($0) }
    process.stores = stores.map(\.id)
    let random = SystemRandom()
    let scheme = ErasureScheme.standard
    let cluster = ClusterID(high: 1, low: 2)
    let keys = KeyRing(cluster: cluster, random: random.bytes)
    let clock = SystemWallClock()
    let engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: scheme), metadata: metadata,
      stores: StoreSet(
        stores: stores,
        ring: PlacementRing(
          nodes: stores.map { PlacementNode(id: $0.id, server: "local", zone: "") },
          width: scheme.total)),
      keys: keys, buffers: BufferPool(limit: 1 << 20, cacheLimit: 1 << 20),
      pool: ThreadPool(name: "test-io", threadCount: 2),
      writer: WriterIdentity(epoch: 3, random: random), clusterID: cluster, clock: clock,
      random: random, log: .none)
    access = AccessControl(metadata: metadata, keys: keys, clock: clock, random: random)
    var providers = AdminProviders(
      installation: process, scrubbing: isWhole ? process : nil,
      workers: isWhole ? process : nil, backups: isWhole ? process : nil,
      masterKey: isWhole ? process : nil)
    providers.enrolment = enrolment
    let service = AdminService(
      engine: engine, access: access, providers: providers, random: random, log: .none)
    server = try HTTPServer(
      listeners: [
        HTTPListener(
          address: "127.0.0.1", port: 0,
          errorBody: { AdminService.errorBody(status: $0, reason: $1) },
          handler: { try await service.handle($0) })
      ], threads: 1)
    port = try #require(server.addresses.first).port
  }

  /// Makes a user with a key.
  func user(_ name: String, role: User.Role) async throws -> NewAccessKey {
    _ = try await access.createUser(name: name, role: role)
    return try await access.createKey(user: name)
  }

  /// Serves for as long as `body` runs, which gets a client of an administrator.
  func serving(
    _ body: @escaping @Sendable (AdminTestClient) async throws -> Void
  ) async throws {
    let root = try await user("chief", role: .administrator)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      do {
        try await body(AdminTestClient(port: port, id: root.id, secret: root.secret))
      } catch {
        server.beginShutdown(deadline: .zero)
        throw error
      }
      server.beginShutdown(deadline: .seconds(10))
      try await group.waitForAll()
    }
    #expect(server.statistics.openConnections == 0)
  }
}

/// What the process gives to the Admin API, as the tests want it.
final class FakeProcess: InstallationDescribing, Scrubbing, WorkerReporting, BackupProviding,
  MasterKeyManaging
{
  struct State {
    var stores: [StoreID] = []
    var scrub = ScrubProgress()
    var key = 1
    var keyError: MasterKeyError?
    var openBackups = 0
  }

  let state = Mutex(State())
  let version = "test"
  let started = Timestamp(seconds: 5)
  static let copy = SeededRandom(seed: 3).bytes(700_000)

  var stores: [StoreID] {
    get { state.withLock { $0.stores } }
    set { state.withLock { $0.stores = newValue } }
  }

  func devices() async -> [StoreID: String] {
    Dictionary(uniqueKeysWithValues: stores.enumerated().map { ($1, "disk\($0 / 2)") })
  }

  func startScrub() async throws {
    state.withLock { state in
      state.scrub = ScrubProgress()
      state.scrub.state = .running
    }
  }

  func scrubProgress() async -> ScrubProgress { state.withLock { $0.scrub } }

  func workers() async -> [WorkerStatus] {
    [
      WorkerStatus(
        name: "repair", state: "waiting", lastRun: Timestamp(seconds: 6), runs: 3, failures: 1,
        lastError: "none", itemsDone: 5, detail: "one more")
    ]
  }

  func makeBackup() async throws -> any BackupReading {
    state.withLock { $0.openBackups += 1 }
    return Reader(self)
  }

  func exportText() async throws -> String {
    try state.withLock { state in
      if let error = state.keyError { throw error }
      return "key \(state.key)"
    }
  }

  func rotate() async throws {
    try state.withLock { state in
      if let error = state.keyError { throw error }
      state.key += 1
    }
  }

  private final class Reader: BackupReading {
    let byteCount = FakeProcess.copy.count
    private let process: FakeProcess
    private let offset = Mutex(0)

    init(_ process: FakeProcess) { self.process = process }

    deinit { process.state.withLock { $0.openBackups -= 1 } }

    func read(into buffer: AlignedBuffer) async throws -> Int {
      let range = offset.withLock { offset in
        let start = offset
        offset = min(start + buffer.count, byteCount)
        return start..<offset
      }
      buffer.copy(Array(FakeProcess.copy[range]))
      return range.count
    }

    func close() {}
  }
}

/// Signs requests, rightly or in a way that a test wants.
struct AdminTestClient: Sendable {
  let port: UInt16
  var id: String
  var secret: String
  var region = AdminSigning.region
  var service = AdminSigning.service
  var skewSeconds: Int64 = 0
  /// What the signature says of the body; the body's digest when nil.
  var payload: PayloadMode?

  func send(
    _ method: String, _ path: String, query: String = "", json: String? = nil,
    sending other: String? = nil
  ) async throws -> Answer {
    let body = Array((json ?? "").utf8)
    let signer = RequestSigner(
      accessKeyID: id, secretKey: secret, region: region, service: service)
    let target = "/admin/v1/\(path)"
    let signed = try signer.sign(
      method: method, rawPath: target, rawQuery: query, fields: [.init("host", "test")],
      payload: payload ?? AdminSigning.payload(body),
      now: SystemWallClock().now.advanced(byMilliseconds: skewSeconds * 1000))
    let headers = signed.fields.dropFirst().map {
      (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self))
    }
    return try await FilesClient(port, bearer: nil).send(
      method, query.isEmpty ? target : "\(target)?\(query)", headers: headers,
      body: other.map { Array($0.utf8) } ?? (json == nil ? nil : body))
  }
}
