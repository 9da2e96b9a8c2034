public import GRPC
internal import Synchronization

/// What one end of the chunk service has done since it was made; read at any time.
public final class RPCCounters: Sendable {
  /// Calls that ended in the same way.
  public struct Requests: Hashable, Sendable {
    /// The method's name, such as `PutChunk`.
    public var method: String
    /// How they ended.
    public var status: RPCStatus.Code
    /// How many of them.
    public var count: Int
  }

  /// The numbers at one moment.
  public struct Snapshot: Sendable {
    /// Calls that have ended (`grpc_request_total`), ordered by method and status.
    public var requests: [Requests]
    /// Calls that run.
    public var active: Int
    /// Messages sent (`grpc_stream_messages_sent`).
    public var messagesSent: Int
    /// Messages received (`grpc_stream_messages_received`).
    public var messagesReceived: Int
    /// Bytes of chunk data sent.
    public var bytesSent: Int
    /// Bytes of chunk data received.
    public var bytesReceived: Int
  }

  private struct Key: Hashable {
    var method: String
    var code: RPCStatus.Code
  }

  private let ended = Mutex<[Key: Int]>([:])
  private let active = Atomic(0)
  private let messagesSent = Atomic(0)
  private let messagesReceived = Atomic(0)
  private let bytesSent = Atomic(0)
  private let bytesReceived = Atomic(0)

  init() {}

  /// The numbers now.
  public var snapshot: Snapshot {
    let requests = ended.withLock { ended in
      ended.map { Requests(method: $0.key.method, status: $0.key.code, count: $0.value) }
    }
    return Snapshot(
      requests: requests.sorted {
        ($0.method, $0.status.rawValue) < ($1.method, $1.status.rawValue)
      },
      active: active.load(ordering: .relaxed),
      messagesSent: messagesSent.load(ordering: .relaxed),
      messagesReceived: messagesReceived.load(ordering: .relaxed),
      bytesSent: bytesSent.load(ordering: .relaxed),
      bytesReceived: bytesReceived.load(ordering: .relaxed))
  }

  func began() { active.wrappingAdd(1, ordering: .relaxed) }

  func ended(_ method: String, _ code: RPCStatus.Code) {
    active.wrappingSubtract(1, ordering: .relaxed)
    ended.withLock { $0[Key(method: method, code: code), default: 0] += 1 }
  }

  func sent(bytes: Int = 0) {
    messagesSent.wrappingAdd(1, ordering: .relaxed)
    if bytes > 0 { bytesSent.wrappingAdd(bytes, ordering: .relaxed) }
  }

  func received(bytes: Int = 0) {
    messagesReceived.wrappingAdd(1, ordering: .relaxed)
    if bytes > 0 { bytesReceived.wrappingAdd(bytes, ordering: .relaxed) }
  }
}
