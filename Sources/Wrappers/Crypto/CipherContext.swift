internal import COpenSSL

/// One `EVP_CIPHER_CTX` with the schedule of an AES-256-GCM key, freed and wiped with its owner.
@safe
struct CipherContext: ~Copyable, @unchecked Sendable {
  private let pointer: OpaquePointer

  /// Precondition: `key` has 32 bytes.
  init(key: [UInt8]) {
    guard let pointer = unsafe EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
    unsafe self.pointer = pointer
    requireSuccess(
      unsafe EVP_EncryptInit_ex2(pointer, Algorithms.shared.aes256GCM, key, nil, nil),
      "EVP_EncryptInit_ex2")
  }

  /// Precondition: `key` has 32 bytes.
  init(key: UnsafeRawBufferPointer) {
    guard let pointer = unsafe EVP_CIPHER_CTX_new() else { fatalError("out of memory") }
    unsafe self.pointer = pointer
    requireSuccess(
      unsafe EVP_EncryptInit_ex2(
        pointer, Algorithms.shared.aes256GCM,
        key.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, nil),
      "EVP_EncryptInit_ex2")
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(pointer)
  }

  /// Starts one message. GCM runs the cipher forward in both directions: one schedule serves both.
  mutating func begin(
    encrypt: Bool, nonce: AESGCMNonce, additionalData: UnsafeRawBufferPointer
  ) {
    unsafe withUnsafeBytes(of: nonce.storage) { nonce in
      requireSuccess(
        unsafe EVP_CipherInit_ex2(
          pointer, nil, nil, nonce.baseAddress?.assumingMemoryBound(to: UInt8.self),
          encrypt ? 1 : 0, nil),
        "EVP_CipherInit_ex2")
    }
    guard let start = additionalData.baseAddress, additionalData.count > 0 else { return }
    var length: Int32 = 0
    requireSuccess(
      unsafe EVP_CipherUpdate(
        pointer, nil, &length, start.assumingMemoryBound(to: UInt8.self),
        Int32(additionalData.count)),
      "EVP_CipherUpdate")
  }

  /// En- or decrypts the whole message. Precondition: as long as each other, at most 1 GiB.
  mutating func process(
    _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) {
    guard let from = source.baseAddress, let to = target.baseAddress, source.count > 0 else {
      return
    }
    var length: Int32 = 0
    requireSuccess(
      unsafe EVP_CipherUpdate(
        pointer, to.assumingMemoryBound(to: UInt8.self), &length,
        from.assumingMemoryBound(to: UInt8.self), Int32(source.count)),
      "EVP_CipherUpdate")
    precondition(length == source.count, "GCM keeps no bytes back")
  }

  /// Ends an encryption. Precondition: `tag` has 16 bytes.
  mutating func finishSealing(tag: UnsafeMutableRawBufferPointer) {
    var length: Int32 = 0
    var nothing: UInt8 = 0
    requireSuccess(unsafe EVP_CipherFinal_ex(pointer, &nothing, &length), "EVP_CipherFinal_ex")
    requireSuccess(
      unsafe EVP_CIPHER_CTX_ctrl(
        pointer, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), tag.baseAddress),
      "EVP_CIPHER_CTX_ctrl")
  }

  /// Ends a decryption: whether the tag fits. Precondition: `tag` has 16 bytes.
  mutating func finishOpening(tag: UnsafeRawBufferPointer) -> Bool {
    requireSuccess(
      unsafe EVP_CIPHER_CTX_ctrl(
        pointer, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count),
        UnsafeMutableRawPointer(mutating: tag.baseAddress)),
      "EVP_CIPHER_CTX_ctrl")
    var length: Int32 = 0
    var nothing: UInt8 = 0
    return unsafe EVP_CipherFinal_ex(pointer, &nothing, &length) == 1
  }
}
