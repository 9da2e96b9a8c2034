internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// One storage server as a gateway reaches it: connections for chunks, and one for control, so
/// that a health check does not stand in line behind data.
final class RemoteServer: StorageServerConnection {
  private struct Channels {
    var bulk: [Channel]
    var control: Channel
    /// That of the identity that they were made with.
    var generation: Int
    /// Makes one more; does no input or output yet.
    var make: @Sendable () -> Channel

    /// Puts new ones in the places of those that wait before they connect again; returns these.
    mutating func replaceFailing(_ kind: Kind) -> [Channel] {
      switch kind {
      case .control:
        guard control.isFailing else { return [] }
        defer { control = make() }
        return [control]
      case .bulk:
        let failing = bulk.indices.filter { bulk[$0].isFailing }
        defer { for index in failing { bulk[index] = make() } }
        return failing.map { bulk[$0] }
      }
    }
  }

  private struct State {
    var channels: Channels?
    var isClosed = false
    var next = 0
    var running: [ObjectIdentifier: ClientCall] = [:]
  }

  /// What a call is for.
  enum Kind {
    case bulk
    case control
  }

  let address: String
  let settings: ChunkRPCClient.Settings
  let counters: RPCCounters
  /// What reads of all servers hold.
  let streams: StreamMemory
  /// What writes to this server hold. Its own, so that a server that hangs holds up nobody else.
  let buffers: BufferPool
  private let server: ServerID
  private let security: ChunkRPCSecurity
  private let metadata: [(key: String, value: String)]
  private let state = Mutex(State())

  init(
    address: String, server: ServerID, security: ChunkRPCSecurity,
    settings: ChunkRPCClient.Settings, counters: RPCCounters, streams: StreamMemory
  ) {
    self.address = address
    self.server = server
    self.security = security
    self.settings = settings
    self.counters = counters
    self.streams = streams
    let limit = max(settings.bufferLimit, 4 * ByteCount.mebibyte)
    buffers = BufferPool(limit: limit, cacheLimit: limit / 4)
    var metadata = [(key: CallMetadata.server, value: server.description)]
    if case .sharedSecret(let secret) = security {
      metadata.append((CallMetadata.secret, secret))
    }
    self.metadata = metadata
  }

  func store(_ id: StoreID) -> any ChunkStore { RemoteChunkStore(id: id, server: self) }

  func health() async throws(ChunkStoreError) -> StorageServerHealth {
    // It may be there by now: each look is an attempt to connect.
    replaceFailing(.control)
    let answer = try await unary(
      .healthCheck, OutgoingMessage([]), .control, timeout: settings.healthTimeout)
    let health = try decoded { () throws(FormatError) in try HealthMessage.decode(answer) }
    guard health.server == server else { throw .offline("another server is at this address") }
    // It is there: what is written to it now does not fail for its having been away.
    replaceFailing(.bulk)
    return health
  }

  private func replaceFailing(_ kind: Kind) {
    let old = state.withLock { $0.channels?.replaceFailing(kind) }
    withExtendedLifetime(old) {}
  }

  func close() async {
    let (channels, running) = state.withLock { state in
      state.isClosed = true
      return (state.channels.take(), Array(state.running.values))
    }
    for call in running { call.cancel() }
    withExtendedLifetime(channels) {}
  }

  /// One message there and one back, cancelled with the task.
  func unary(
    _ method: ServiceMethod, _ message: consuming OutgoingMessage, _ kind: Kind, timeout: Duration
  ) async throws(ChunkStoreError) -> ReceivedMessage {
    let call = try begin(method, kind, timeout: timeout)
    counters.sent()
    do throws(RPCStatus) {
      let answer = try await call.unary(message)
      end(call, method, .ok)
      counters.received()
      return answer
    } catch {
      end(call, method, error.code)
      throw StatusMapping.error(error)
    }
  }

  /// Makes a call that `end` ends; throws when there can be none.
  func begin(
    _ method: ServiceMethod, _ kind: Kind, timeout: Duration
  ) throws(ChunkStoreError) -> ClientCall {
    let channel = try channel(kind)
    var metadata = metadata
    if let stamp = ChunkCallPolicy.stamping?.stamp {
      metadata.append((CallMetadata.stamp, stamp.description))
    }
    let call = channel.makeCall(method.path, timeout: timeout, metadata: metadata)
    let isOpen = state.withLock { state in
      guard !state.isClosed else { return false }
      state.running[ObjectIdentifier(call)] = call
      return true
    }
    guard isOpen else { throw .offline("the connection is closed") }
    counters.began()
    return call
  }

  /// Forgets a call that has ended, or was cancelled. Once for each `begin`.
  func end(_ call: ClientCall, _ method: ServiceMethod, _ code: RPCStatus.Code) {
    state.withLock { _ = $0.running.removeValue(forKey: ObjectIdentifier(call)) }
    counters.ended(method.name, code)
  }

  /// Reads an answer; one that is no message says that the other side is no storage server.
  func decoded<R>(_ body: () throws(FormatError) -> R) throws(ChunkStoreError) -> R {
    do throws(FormatError) { return try body() } catch { throw .io("an answer that is none") }
  }

  /// A connection for a call; certificates that were replaced get new ones.
  private func channel(_ kind: Kind) throws(ChunkStoreError) -> Channel {
    let material: TLSMaterial?
    let generation: Int
    var target = address
    switch security {
    case .mutualTLS(let identity):
      let current = identity.current
      (material, generation) = (current.material, current.generation)
    case .sharedSecret(let secret):
      guard CallMetadata.isUsable(secret) else { throw .offline("the shared secret is too weak") }
      guard let loopback = LoopbackAddress.resolve(address) else {
        throw .offline("a shared secret serves on loopback only")
      }
      (material, generation, target) = (nil, 0, loopback)
    }
    let (channel, old) = state.withLock { state -> (Channel?, Channels?) in
      guard !state.isClosed else { return (nil, nil) }
      var old: Channels?
      if let channels = state.channels, channels.generation < generation {
        old = state.channels.take()
      }
      let channels = state.channels ?? makeChannels(target, material, generation)
      state.channels = channels
      guard kind == .bulk else { return (channels.control, old) }
      state.next = (state.next + 1) % channels.bulk.count
      return (channels.bulk[state.next], old)
    }
    withExtendedLifetime(old) {}
    guard let channel else { throw .offline("the connection is closed") }
    return channel
  }

  /// Does no input or output yet.
  private func makeChannels(
    _ target: String, _ material: TLSMaterial?, _ generation: Int
  ) -> Channels {
    var arguments = ChannelArguments.client(
      maximumMessageLength: WireLimits.response, connectTimeout: settings.connectTimeout)
    if material != nil { arguments.expectServerName(ClusterNames.server(server)) }
    let credentials = material.map { ClientCredentials.mutualTLS($0) } ?? .insecure
    let make: @Sendable () -> Channel = { [arguments] in
      Channel(to: target, credentials: credentials, arguments: arguments)
    }
    return Channels(
      bulk: (0..<max(settings.bulkConnections, 1)).map { _ in make() }, control: make(),
      generation: generation, make: make)
  }
}

/// The service's calls.
enum ServiceMethod {
  case putChunk
  case getChunk
  case deleteChunks
  case statChunk
  case listChunks
  case verifyChunk
  case healthCheck

  /// As the library wants it.
  var path: StaticString {
    switch self {
    case .putChunk: "/s3storage.v1.StorageService/PutChunk"
    case .getChunk: "/s3storage.v1.StorageService/GetChunk"
    case .deleteChunks: "/s3storage.v1.StorageService/DeleteChunks"
    case .statChunk: "/s3storage.v1.StorageService/StatChunk"
    case .listChunks: "/s3storage.v1.StorageService/ListChunks"
    case .verifyChunk: "/s3storage.v1.StorageService/VerifyChunk"
    case .healthCheck: "/s3storage.v1.StorageService/HealthCheck"
    }
  }

  /// The last part of the path.
  var name: String {
    switch self {
    case .putChunk: "PutChunk"
    case .getChunk: "GetChunk"
    case .deleteChunks: "DeleteChunks"
    case .statChunk: "StatChunk"
    case .listChunks: "ListChunks"
    case .verifyChunk: "VerifyChunk"
    case .healthCheck: "HealthCheck"
    }
  }
}
