/// What a server grants its clients. Names carry the units; all values are at least 1 where not
/// stated otherwise.
public struct HTTPLimits: Sendable {
  /// The largest request line and header section together.
  public var headBytes = 64 << 10
  /// The most header fields in a request.
  public var headFields = 128
  /// From the first byte of a head to its last, and for a TLS handshake.
  public var headMilliseconds = 15_000
  /// How long a connection may be open without a request.
  public var idleMilliseconds = 60_000
  /// How long one wait for body bytes may take.
  public var bodyWaitMilliseconds = 30_000
  /// How long one wait for the client to take bytes may take.
  public var writeWaitMilliseconds = 30_000
  /// The least average rate of a body in either direction while this side waits for the peer;
  /// 0 turns the check off.
  public var bodyBytesPerSecond = 1024
  /// Over how much waiting that average is taken.
  public var rateWindowMilliseconds = 30_000
  /// The most of an unread request body that is read and dropped to keep the connection.
  public var drainBytes = 64 << 10
  /// The most that is read and dropped after an early answer, so that the client can read it.
  public var lingerBytes = 8 << 20
  /// How long that may take.
  public var lingerMilliseconds = 2_000
  /// Bytes that one connection moves before others on its loop have their turn.
  public var turnBytes = 1 << 20
  /// Open connections of the whole server. At the limit new clients wait in the listen queue;
  /// while one does, connections idle for more than a second are ended, the oldest first.
  public var maximumConnections = 10_000
  /// Connections the kernel holds for each listener before they are accepted.
  public var listenBacklog = 1024
  /// What a client means that ends its direction while its request is being handled.
  public var halfClose = HalfClose.disconnects

  /// Readings of a half-closed connection. It takes effect when the client ends its direction
  /// after the handler began; a client that did so earlier is always answered.
  public enum HalfClose: Sendable {
    /// The client has gone: the handler's task is cancelled. What the handler still returns is
    /// sent. This is how nearly all clients mean it.
    case disconnects
    /// The client waits for its answer.
    case awaitsAnswer
  }

  /// The limits above.
  public init() {}

  /// Deadlines are looked at this often: at most every 500 ms, more often when limits are short.
  var tickMilliseconds: Int {
    let shortest = min(
      headMilliseconds, idleMilliseconds, bodyWaitMilliseconds, writeWaitMilliseconds,
      rateWindowMilliseconds, lingerMilliseconds)
    return max(10, min(500, shortest / 4))
  }
}
