import COpenSSL
import Synchronization

/// A certificate with its key, ready to serve. Sessions made from it keep it alive.
@safe
final class TLSContext: @unchecked Sendable {
  private let pointer: OpaquePointer

  /// Loads and checks the files; TLS 1.2 at least.
  init(_ files: TLSFiles) throws(HTTPServerError) {
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw .tls("no context") }
    unsafe pointer = unsafe context
    let modes =
      SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
      | SSL_MODE_RELEASE_BUFFERS
    unsafe SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(modes), nil)
    unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
    // A missing close_notify is harmless here: every body's end is known from its framing.
    let options = UInt64(1 << 30) | UInt64(1 << 7) | UInt64(1 << 17)
    unsafe SSL_CTX_set_options(context, options)
    // Without this OpenSSL would ask for a passphrase on the terminal.
    unsafe SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in 0 }
    ERR_clear_error()
    guard unsafe SSL_CTX_use_certificate_chain_file(context, files.certificateChain) == 1 else {
      throw .tls("certificate chain not readable: \(files.certificateChain)")
    }
    guard
      unsafe SSL_CTX_use_PrivateKey_file(context, files.privateKey, SSL_FILETYPE_PEM) == 1
    else {
      throw .tls("private key not readable or not of the certificate: \(files.privateKey)")
    }
    guard unsafe SSL_CTX_check_private_key(context) == 1 else {
      throw .tls("the private key is not of the certificate")
    }
  }

  deinit {
    unsafe SSL_CTX_free(pointer)
  }

  /// A session for one connection; nil only for want of memory.
  func makeSession(on descriptor: Int32) -> TLSSession? {
    guard let session = unsafe SSL_new(pointer) else { return nil }
    guard unsafe SSL_set_fd(session, descriptor) == 1 else {
      unsafe SSL_free(session)
      return nil
    }
    return unsafe TLSSession(takingOwnershipOf: session)
  }
}

/// The context that new connections of a listener get; replaced by a reload.
final class TLSContextHolder: Sendable {
  let files: TLSFiles
  private let context: Mutex<TLSContext>

  init(_ files: TLSFiles) throws(HTTPServerError) {
    self.files = files
    context = Mutex(try TLSContext(files))
  }

  var current: TLSContext { context.withLock { $0 } }

  func replace(with new: TLSContext) {
    context.withLock { $0 = new }
  }
}
