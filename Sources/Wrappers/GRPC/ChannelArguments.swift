internal import CGRPC
internal import Glibc

/// What a channel or a server is made with, beyond its address and its credentials.
public struct ChannelArguments: Sendable {
  private var numbers: [(key: String, value: Int32)] = []
  private var texts: [(key: String, value: String)] = []
  private var quota: Int?

  /// No arguments: the library's defaults.
  public init() {}

  /// Sets a number, clamped to 32 bits.
  public mutating func set(_ key: String, _ value: Int) {
    numbers.removeAll { $0.key == key }
    numbers.append((key, Int32(clamping: value)))
  }

  /// Sets a text, which holds no zero byte.
  public mutating func set(_ key: String, _ value: String) {
    texts.removeAll { $0.key == key }
    texts.append((key, value))
  }

  /// Bounds what the library itself allocates for messages, in bytes. A backstop: when it is
  /// reached, the library ends calls.
  public mutating func setMemoryQuota(_ bytes: Int) {
    quota = bytes
  }

  /// What both sides of a connection are made with, for a largest message of so many bytes.
  ///
  /// Fixed windows instead of the library's bandwidth estimate, which lets each stream buffer
  /// 10 MiB; pings that notice a peer that hangs; no compression, which could blow up a message.
  /// Of what nobody waits for a stream takes 64 KiB, as much as the connection: the library has no
  /// setting for the latter, and a larger stream would be filled in steps of 64 KiB, each of which
  /// waits for an answer.
  public static func common(maximumMessageLength: Int) -> ChannelArguments {
    var arguments = ChannelArguments()
    arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, maximumMessageLength)
    arguments.set(GRPC_ARG_HTTP2_BDP_PROBE, 0)
    arguments.set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65_535)
    arguments.set(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 256 << 10)
    arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0)
    arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0)
    arguments.set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1)
    arguments.set(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10)
    arguments.set(GRPC_ARG_KEEPALIVE_TIME_MS, 10_000)
    arguments.set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5_000)
    arguments.set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1)
    arguments.set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0)
    return arguments
  }

  /// What a channel is made with: the common ones; no retries, since the caller knows what may be
  /// repeated; quick reconnection; a connection of its own; no proxy; no configuration by DNS. An
  /// attempt to connect is given up after `connectTimeout`, or a few seconds when it is less.
  public static func client(
    maximumMessageLength: Int, connectTimeout: Duration = .seconds(1)
  ) -> ChannelArguments {
    var arguments = common(maximumMessageLength: maximumMessageLength)
    arguments.set(GRPC_ARG_ENABLE_RETRIES, 0)
    let milliseconds = min(max(connectTimeout, .milliseconds(1)), .seconds(3600)) / .milliseconds(1)
    arguments.set(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Int(milliseconds))
    arguments.set(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200)
    arguments.set(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3000)
    arguments.set(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1)
    arguments.set(GRPC_ARG_ENABLE_HTTP_PROXY, 0)
    arguments.set(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1)
    return arguments
  }

  /// What a server is made with: the common ones, a bound on the streams of a connection and on
  /// the library's memory; two servers never share a port.
  public static func server(
    maximumMessageLength: Int, streamsPerConnection: Int, memoryQuota: Int
  ) -> ChannelArguments {
    var arguments = common(maximumMessageLength: maximumMessageLength)
    arguments.set(GRPC_ARG_ALLOW_REUSEPORT, 0)
    arguments.set(GRPC_ARG_MAX_CONCURRENT_STREAMS, streamsPerConnection)
    arguments.set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000)
    arguments.set(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10_000)
    arguments.setMemoryQuota(memoryQuota)
    return arguments
  }

  /// The certificate that a server must present: one that names `name`, whatever its address.
  public mutating func expectServerName(_ name: String) {
    set(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, name)
  }

  /// Lends the arguments in the library's form.
  func withRaw<R>(_ body: (UnsafePointer<grpc_channel_args>) -> R) -> R {
    var strings: [UnsafeMutablePointer<CChar>?] = unsafe []
    defer { unsafe strings.forEach { unsafe free($0) } }
    func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
      let copied = unsafe strdup(text)
      unsafe strings.append(copied)
      return unsafe copied
    }
    var list: [grpc_arg] = unsafe []
    for (key, value) in numbers {
      var argument = unsafe grpc_arg()
      unsafe argument.type = GRPC_ARG_INTEGER
      unsafe argument.key = copy(key)
      unsafe argument.value.integer = value
      unsafe list.append(argument)
    }
    for (key, value) in texts {
      var argument = unsafe grpc_arg()
      unsafe argument.type = GRPC_ARG_STRING
      unsafe argument.key = copy(key)
      unsafe argument.value.string = copy(value)
      unsafe list.append(argument)
    }
    // The channel or server takes a reference of its own.
    let quota = unsafe self.quota.map { bytes -> OpaquePointer? in
      let made = unsafe grpc_resource_quota_create("s3storage")
      unsafe grpc_resource_quota_resize(made, bytes)
      var argument = unsafe grpc_arg()
      unsafe argument.type = GRPC_ARG_POINTER
      unsafe argument.key = copy(GRPC_ARG_RESOURCE_QUOTA)
      unsafe argument.value.pointer.p = UnsafeMutableRawPointer(made)
      unsafe argument.value.pointer.vtable = grpc_resource_quota_arg_vtable()
      unsafe list.append(argument)
      return unsafe made
    }
    defer { if let quota = unsafe quota { unsafe grpc_resource_quota_unref(quota) } }
    return unsafe list.withUnsafeMutableBufferPointer { list in
      var raw = unsafe grpc_channel_args(num_args: list.count, args: list.baseAddress)
      return unsafe withUnsafePointer(to: &raw) { unsafe body($0) }
    }
  }
}
