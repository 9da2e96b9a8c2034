import COpenSSL

/// What one attempt to move bytes came to.
enum TransferAttempt {
  case moved(Int)
  case mustWaitToRead
  case mustWaitToWrite
  /// The peer has ended its direction.
  case ended
  /// The connection is of no more use.
  case failed
}

/// The TLS state of one connection. Used on its loop's thread only.
@safe
final class TLSSession: @unchecked Sendable {
  private let pointer: OpaquePointer

  @unsafe
  init(takingOwnershipOf pointer: OpaquePointer) {
    unsafe self.pointer = unsafe pointer
  }

  deinit {
    unsafe SSL_free(pointer)
  }

  /// Goes on with the handshake; `moved` when it is done.
  func handshake() -> TransferAttempt {
    ERR_clear_error()
    let result = unsafe SSL_accept(pointer)
    return result == 1 ? .moved(0) : outcome(result)
  }

  /// Receives into `target`, which is not empty, as many records as are here and fit.
  func receive(into target: UnsafeMutableRawBufferPointer) -> TransferAttempt {
    var done = 0
    while done < target.count {
      ERR_clear_error()
      let limit = Int32(truncatingIfNeeded: min(target.count - done, 1 << 20))
      let result = unsafe SSL_read(pointer, target.baseAddress.map { unsafe $0 + done }, limit)
      guard result > 0 else {
        // What ended this is reported again by the next call.
        return done > 0 ? .moved(done) : outcome(result)
      }
      done += Int(result)
    }
    return .moved(done)
  }

  /// Sends of `source`, which is not empty, as much as is taken now.
  func send(_ source: UnsafeRawBufferPointer) -> TransferAttempt {
    ERR_clear_error()
    let limit = Int32(truncatingIfNeeded: min(source.count, 1 << 20))
    let result = unsafe SSL_write(pointer, source.baseAddress, limit)
    return result > 0 ? .moved(Int(result)) : outcome(result)
  }

  /// Whether bytes are here that no readiness will announce.
  var hasPendingBytes: Bool { unsafe SSL_has_pending(pointer) == 1 }

  /// Tells the peer that nothing follows; the answer is not waited for.
  func sendClose() {
    ERR_clear_error()
    unsafe SSL_shutdown(pointer)
  }

  /// Makes sure that a body cut short does not look finished to the peer.
  func suppressClose() {
    unsafe SSL_set_quiet_shutdown(pointer, 1)
  }

  private func outcome(_ result: Int32) -> TransferAttempt {
    switch unsafe SSL_get_error(pointer, result) {
    case SSL_ERROR_WANT_READ: .mustWaitToRead
    case SSL_ERROR_WANT_WRITE: .mustWaitToWrite
    case SSL_ERROR_ZERO_RETURN: .ended
    default: .failed
    }
  }
}
