public import Base
public import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// Reaches storage servers over gRPC.
public final class ChunkRPCClient: StorageServerConnecting {
  /// How long things may take, and how much they may hold. Every call has an end.
  public struct Settings: Sendable {
    /// One attempt to connect, which calls wait for.
    public var connectTimeout = Duration.seconds(1)
    /// A look at a server's health.
    public var healthTimeout = Duration.seconds(5)
    /// Opening a chunk, and asking for its status.
    public var openTimeout = Duration.seconds(15)
    /// One piece of a read.
    public var readTimeout = Duration.seconds(30)
    /// Until the server has taken a piece of a write, or a small chunk is durable.
    public var writeTimeout = Duration.seconds(30)
    /// Until a large chunk is durable, from its last piece on; and a deletion.
    public var finishTimeout = Duration.seconds(60)
    /// One page of names.
    public var listTimeout = Duration.seconds(60)
    /// Verifying a chunk, all of which is read.
    public var verifyTimeout = Duration.seconds(900)
    /// A whole stream, however slow its other end is.
    public var streamTimeout = Duration.seconds(24 * 3600)
    /// Bytes that writes to one server may hold at once, at least 4 MiB.
    public var bufferLimit = 64 * ByteCount.mebibyte
    /// Bytes that streams of reads may hold of messages, of all servers together.
    public var streamMemory = 160 * ByteCount.mebibyte
    /// Connections to one server that chunks go over, at least 1; control has one of its own.
    public var bulkConnections = 1

    /// The settings of a client that asks for no others.
    public init() {}
  }

  /// What the client has done, with all servers together.
  public let counters = RPCCounters()
  private let security: ChunkRPCSecurity
  private let settings: Settings
  let streams: StreamMemory
  /// What writes to each server take their memory from.
  private let pools = Mutex<[WeakPool]>([])

  /// Makes a client that shows who it is by `security`. Does no input or output.
  public init(security: ChunkRPCSecurity, settings: Settings = Settings()) {
    self.security = security
    self.settings = settings
    streams = StreamMemory(limit: settings.streamMemory)
  }

  /// A connection to the server `id` at `address` (`host:port`, IPv6 in brackets).
  public func connect(to address: String, server id: ServerID) -> any StorageServerConnection {
    let server = RemoteServer(
      address: address, server: id, security: security, settings: settings, counters: counters,
      streams: streams)
    pools.withLock { pools in
      pools.removeAll { $0.pool == nil }
      pools.append(WeakPool(pool: server.buffers))
    }
    return server
  }

  /// Bytes that are kept for later writes.
  public var keptBytes: Int {
    pools.withLock { $0.reduce(0) { $0 + ($1.pool?.kept ?? 0) } }
  }

  /// Frees what is kept for later writes.
  public func trim() {
    pools.withLock { $0.compactMap(\.pool) }.forEach { $0.trim() }
  }

  /// That of a server which is connected; nil when it is no more.
  private struct WeakPool: Sendable {
    weak let pool: BufferPool?
  }
}
