internal import CGRPC

/// How a channel shows who it is, and whom it trusts.
public enum ClientCredentials: Sendable {
  /// Neither: for loopback only.
  case insecure
  /// Mutual TLS.
  case mutualTLS(TLSMaterial)
}

/// A connection to one server, made when it is needed and again when it is lost.
@safe
public final class Channel: @unchecked Sendable {
  let queue: CompletionQueue
  private let raw: OpaquePointer

  /// Makes a channel to `address` (`host:port`); does no input or output yet.
  public init(
    to address: String, credentials: ClientCredentials, arguments: ChannelArguments,
    queue: CompletionQueue = .shared
  ) {
    GRPCLibrary.initialize()
    self.queue = queue
    let made: OpaquePointer?
    switch credentials {
    case .insecure: unsafe made = grpc_insecure_credentials_create()
    case .mutualTLS(let material):
      unsafe made = material.withRaw { authorities, pair in
        unsafe grpc_ssl_credentials_create_ex(authorities, pair, nil, nil)
      }
    }
    // The library answers with a channel all of whose calls fail rather than with none.
    guard
      let channel = unsafe arguments.withRaw({ arguments in
        unsafe grpc_channel_create(address, made, arguments)
      })
    else { preconditionFailure("the library makes a channel of anything") }
    unsafe raw = channel
    if let made = unsafe made { unsafe grpc_channel_credentials_release(made) }
  }

  deinit {
    unsafe grpc_channel_destroy(raw)
  }

  /// Whether the last attempt to connect failed: until another one succeeds, which is made some time
  /// later, calls fail at once.
  public var isFailing: Bool {
    unsafe grpc_channel_check_connectivity_state(raw, 0) == GRPC_CHANNEL_TRANSIENT_FAILURE
  }

  /// Makes a call that ends after `timeout` at the latest. `metadata` has lower-case keys.
  ///
  /// Whoever makes a call ends it: by its last operation, or by `cancel`.
  public func makeCall(
    _ method: StaticString, timeout: Duration, metadata: [(key: String, value: String)] = []
  ) -> ClientCall {
    let name = unsafe grpc_slice_from_static_buffer(method.utf8Start, method.utf8CodeUnitCount)
    let (seconds, attoseconds) = timeout.components
    let span = gpr_time_add(
      gpr_time_from_seconds(min(max(seconds, 0), 1 << 31), GPR_TIMESPAN),
      gpr_time_from_nanos(max(attoseconds, 0) / 1_000_000_000, GPR_TIMESPAN))
    let deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span)
    guard
      let call = unsafe grpc_channel_create_call(
        raw, nil, cgrpc_propagate_defaults(), queue.raw, name, nil, deadline, nil)
    else { preconditionFailure("the library makes a call of any name") }
    return unsafe ClientCall(call, channel: self, metadata: metadata)
  }
}
