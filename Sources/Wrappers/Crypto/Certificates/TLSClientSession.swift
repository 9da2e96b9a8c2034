internal import COpenSSL

/// Whom a client of TLS trusts.
public enum TLSTrust: Sendable {
  /// The authorities that the operating system is set up with.
  case system
  /// These and no others.
  case authorities([Certificate])
}

/// The TLS state of one connection of a client (TLS 1.2 or 1.3), which moves no bytes by itself:
/// the caller carries them between it and the socket. The server's certificate must lead to a
/// trusted authority and be for the host, a name or an address. Used by one thread at a time.
@safe
public final class TLSClientSession {
  /// What a read came to.
  public enum ReadResult {
    /// Bytes of the other end.
    case bytes([UInt8])
    /// More input is needed.
    case needsInput
    /// The other end has said that nothing follows.
    case ended
  }

  private let pointer: OpaquePointer
  private let input: OpaquePointer
  private let output: OpaquePointer

  /// Begins a connection to a host, given as a DNS name or an address without brackets.
  public init(host: String, trust: TLSTrust) throws(CertificateError) {
    guard !host.isEmpty, host.utf8.count <= 253, !host.utf8.contains(0) else {
      throw .malformed("not a host")
    }
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { fatalError("no context") }
    // The session keeps the context alive.
    defer { unsafe SSL_CTX_free(context) }
    unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
    switch trust {
    case .system:
      guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else {
        ERR_clear_error()
        throw .untrusted("the system's authorities cannot be read")
      }
    case .authorities(let authorities):
      guard let store = unsafe SSL_CTX_get_cert_store(context) else { fatalError("no store") }
      for authority in authorities {
        requireSuccess(
          unsafe X509_STORE_add_cert(store, authority.pointer), "X509_STORE_add_cert")
      }
    }
    guard let session = unsafe SSL_new(context), let input = unsafe BIO_new(BIO_s_mem()),
      let output = unsafe BIO_new(BIO_s_mem())
    else { fatalError("out of memory") }
    unsafe SSL_set_bio(session, input, output)
    unsafe SSL_set_connect_state(session)
    unsafe SSL_set_verify(session, SSL_VERIFY_PEER, nil)
    unsafe Self.expect(host, session)
    unsafe pointer = session
    unsafe self.input = input
    unsafe self.output = output
  }

  deinit {
    unsafe SSL_free(pointer)
  }

  /// Goes on with the handshake; true when it is done. What `takeOutput` gives is to be sent in
  /// any case. Throws when the other end is not trusted or speaks no TLS.
  public func handshake() throws(CertificateError) -> Bool {
    ERR_clear_error()
    let result = unsafe SSL_do_handshake(pointer)
    if result == 1 { return true }
    if unsafe SSL_get_error(pointer, result) == SSL_ERROR_WANT_READ { return false }
    ERR_clear_error()
    let code = unsafe SSL_get_verify_result(pointer)
    if code != X509_V_OK {
      throw .untrusted(
        unsafe X509_verify_cert_error_string(code).map { unsafe String(cString: $0) } ?? "unknown")
    }
    throw .malformed("the other end does not speak TLS, or no version that is accepted")
  }

  /// Takes bytes that came from the other end.
  public func receive(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    let taken = unsafe BIO_write(input, bytes, Int32(bytes.count))
    precondition(taken == Int32(bytes.count), "out of memory")
  }

  /// What is to be sent to the other end now.
  public func takeOutput() -> [UInt8] {
    var result: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = unsafe BIO_read(output, &piece, Int32(piece.count))
      guard count > 0 else { return result }
      result += piece[..<Int(count)]
    }
  }

  /// Encrypts bytes, which `takeOutput` then gives. Precondition: the handshake is done.
  public func write(_ bytes: [UInt8]) throws(CertificateError) {
    guard !bytes.isEmpty else { return }
    ERR_clear_error()
    var written = 0
    guard unsafe SSL_write_ex(pointer, bytes, bytes.count, &written) == 1, written == bytes.count
    else { throw .malformed("the connection is of no more use") }
  }

  /// Decrypts what has come.
  public func read() throws(CertificateError) -> ReadResult {
    ERR_clear_error()
    var piece = [UInt8](repeating: 0, count: 16 << 10)
    var count = 0
    let result = unsafe SSL_read_ex(pointer, &piece, piece.count, &count)
    if result == 1 { return .bytes(Array(piece[..<count])) }
    switch unsafe SSL_get_error(pointer, result) {
    case SSL_ERROR_WANT_READ: return .needsInput
    case SSL_ERROR_ZERO_RETURN: return .ended
    default: throw .malformed("the connection was changed on its way or ended with an alert")
    }
  }

  @unsafe
  private static func expect(_ host: String, _ session: OpaquePointer) {
    guard let rules = unsafe SSL_get0_param(session) else { fatalError("no parameters") }
    if unsafe X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1 { return }
    ERR_clear_error()
    unsafe SSL_set_hostflags(session, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    requireSuccess(unsafe SSL_set1_host(session, host), "SSL_set1_host")
    var name = host.utf8CString
    unsafe name.withUnsafeMutableBufferPointer { buffer in
      _ = unsafe SSL_ctrl(
        session, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
        buffer.baseAddress)
    }
  }
}
