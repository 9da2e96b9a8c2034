public import Base
public import ChunkStore
internal import GRPC
public import Runtime
public import Telemetry

/// Serves chunk stores to gateways, as `proto/storage.proto` says.
///
/// Made, it has its port; `run` serves until `beginShutdown` or the cancellation of its task.
/// Disk work runs on `pool`; memory for data comes from `buffers`, that of reads from `readBuffers`
/// where they are given: then writes hold up no read. A call that has none waits; reads that stand
/// still meanwhile give theirs up (`StalledCalls`). Credentials are checked before the first message
/// of a call is read.
public final class ChunkRPCServer: Sendable {
  /// The bounds of a server.
  public struct Settings: Sendable {
    /// How long a client may take to accept a message.
    public var sendTimeout = Duration.seconds(60)
    /// How long a client may take to send its next message.
    public var receiveTimeout = Duration.seconds(600)
    /// How long a client may not take a message before its call is ended for others that wait.
    public var stalledRead = Duration.seconds(2)
    /// The time between two looks at each store.
    public var healthInterval = Duration.seconds(1)
    /// Calls that one connection may have at once; further ones wait at the client.
    public var streamsPerConnection = 1024
    /// Bytes that the library may hold of messages.
    public var memoryQuota = 512 * ByteCount.mebibyte

    /// The bounds of a server that asks for no others.
    public init() {}
  }

  /// The port that it listens on.
  public var port: Int { server.port }
  /// What it has done.
  public let counters = RPCCounters()

  let stores: [StoreID: any ChunkStore]
  let buffers: BufferPool
  let readBuffers: BufferPool
  let settings: Settings
  let health: HealthSampler
  let order = CallOrder()
  let stalled: StalledCalls
  private let server: Server
  private let gate: CallGate
  private let pool: ThreadPool
  private let log: Log

  /// Listens on `address`:`port` (0 for any), for calls to `stores` of the server `server`.
  ///
  /// `address` is an IP address, IPv6 in brackets. Throws `insecure` without `security`, and
  /// `secretOffLoopback` for a secret on an address that is not loopback.
  public init(
    stores: [any ChunkStore], server: ServerID, cluster: ClusterID, version: String,
    address: String, port: Int, security: ChunkRPCSecurity?, pool: ThreadPool,
    buffers: BufferPool, readBuffers: BufferPool? = nil, settings: Settings = Settings(),
    log: Log = .none
  ) throws(ChunkRPCError) {
    guard let security else { throw .insecure }
    let readBuffers = readBuffers ?? buffers
    guard min(buffers.limit, readBuffers.limit) >= 4 * ByteCount.mebibyte else {
      throw .smallBudget
    }
    guard Set(stores.map(\.id)).count == stores.count else { throw .duplicateStore }
    var target = "\(address):\(port)"
    let credentials: ServerCredentials
    switch security {
    case .mutualTLS(let identity): credentials = .mutualTLS(identity)
    case .sharedSecret(let secret):
      guard CallMetadata.isUsable(secret) else { throw .weakSecret }
      guard let loopback = LoopbackAddress.resolve(target) else { throw .secretOffLoopback }
      target = loopback
      credentials = .insecure
    }
    do throws(ServerError) {
      self.server = try Server(
        on: target, credentials: credentials,
        arguments: .server(
          maximumMessageLength: WireLimits.request,
          streamsPerConnection: settings.streamsPerConnection,
          memoryQuota: settings.memoryQuota))
    } catch {
      throw .bind(target)
    }
    self.stores = Dictionary(uniqueKeysWithValues: stores.map { ($0.id, $0) })
    self.pool = pool
    self.buffers = buffers
    self.readBuffers = readBuffers
    self.settings = settings
    stalled = StalledCalls(settings)
    self.log = log
    gate = CallGate(security: security, server: server)
    health = HealthSampler(stores: stores, server: server, cluster: cluster, version: version)
  }

  /// Serves. Returns when it has been shut down and all calls have ended.
  public func run() async throws(ChunkRPCError) {
    let (server, pool, health, interval) = (server, pool, health, settings.healthInterval)
    await withTaskExecutorPreference(pool) { await health.sample() }
    let failure = await withTaskGroup(of: ServerError?.self) { group in
      for store in stores.values {
        group.addTask(executorPreference: pool) {
          while (try? await Task.sleep(for: interval)) != nil { await health.sample(store) }
          return nil
        }
      }
      group.addTask {
        await self.stalled.run(self.readBuffers)
        return nil
      }
      group.addTask {
        do throws(ServerError) {
          try await server.run(
            executor: { method in
              // It answers from memory and so may run where the event came.
              let executor: any TaskExecutor =
                if method == Method.healthCheck.path { InlineExecutor.shared } else { pool }
              return executor
            },
            handler: { call in await self.answer(call) })
          return nil
        } catch {
          return error
        }
      }
      // The others end only when they are told to.
      var failure: ServerError?
      if let ended = await group.next() { failure = ended }
      group.cancelAll()
      await group.waitForAll()
      return failure
    }
    if failure != nil { throw .started }
  }

  /// Takes no more calls; those that run have until `deadline` from now, and are cancelled then.
  public func beginShutdown(deadline: Duration) {
    server.beginShutdown(deadline: deadline)
  }

  /// The calls of the service.
  enum Method: String {
    case putChunk = "PutChunk"
    case getChunk = "GetChunk"
    case deleteChunks = "DeleteChunks"
    case statChunk = "StatChunk"
    case listChunks = "ListChunks"
    case verifyChunk = "VerifyChunk"
    case healthCheck = "HealthCheck"

    private static let service = "/s3storage.v1.StorageService/"

    var path: String { Self.service + rawValue }

    init?(path: String) {
      guard path.hasPrefix(Self.service) else { return nil }
      self.init(rawValue: String(path.dropFirst(Self.service.count)))
    }
  }

  private func answer(_ call: ServerCall) async {
    counters.began()
    let method = Method(path: call.method)
    var status = RPCStatus(.ok)
    do {
      try gate.admit(call)
      let stamp = try CallOrder.stamp(of: call)
      switch method {
      // It looks at no chunk, and is not to wait.
      case .healthCheck: order.note(stamp)
      // Refused or not once its message is there.
      case .deleteChunks, nil: break
      default: try await order.pass(stamp)
      }
      switch method {
      case .putChunk: try await put(call)
      case .getChunk: try await get(call)
      case .deleteChunks: try await delete(call, stamp)
      case .statChunk: try await stat(call)
      case .listChunks: try await list(call)
      case .verifyChunk: try await verify(call)
      case .healthCheck: try await checkHealth(call)
      case nil: throw RPCStatus(.unimplemented, "no such method")
      }
    } catch let error as RPCStatus {
      status = error
    } catch let error as ChunkStoreError {
      status = StatusMapping.status(error)
    } catch let error as FormatError {
      status = RPCStatus(.invalidArgument, StatusMapping.clean(error.message))
    } catch {
      status = RPCStatus(.cancelled)
    }
    if status.code != .ok { await call.finish(status) }
    counters.ended(method?.rawValue ?? "unknown", status.code)
    if status.code == .unauthenticated || status.code == .permissionDenied {
      log.warning("a call was refused", [("reason", status.message)])
    }
  }
}
