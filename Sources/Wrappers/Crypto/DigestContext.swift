internal import COpenSSL

/// One `EVP_MD_CTX`, freed and wiped with its owner.
@safe
struct DigestContext: ~Copyable, @unchecked Sendable {
  private let algorithm: DigestAlgorithm
  private let pointer: OpaquePointer

  /// A context with no bytes in it.
  init(_ algorithm: DigestAlgorithm) {
    guard let pointer = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    self.algorithm = algorithm
    unsafe self.pointer = pointer
    requireSuccess(
      unsafe EVP_DigestInit_ex2(pointer, algorithm.object, nil), "EVP_DigestInit_ex2")
  }

  private init(copying other: borrowing DigestContext) {
    guard let pointer = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    algorithm = other.algorithm
    unsafe self.pointer = pointer
    requireSuccess(unsafe EVP_MD_CTX_copy_ex(pointer, other.pointer), "EVP_MD_CTX_copy_ex")
  }

  deinit {
    unsafe EVP_MD_CTX_free(pointer)
  }

  /// Forgets all bytes.
  mutating func reset() {
    requireSuccess(unsafe EVP_DigestInit_ex2(pointer, nil, nil), "EVP_DigestInit_ex2")
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    requireSuccess(unsafe EVP_DigestUpdate(pointer, start, bytes.count), "EVP_DigestUpdate")
  }

  /// The digest; after it only `reset` and freeing are allowed.
  mutating func finish() -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: algorithm.byteCount) { buffer, count in
      var length: UInt32 = 0
      requireSuccess(
        unsafe EVP_DigestFinal_ex(pointer, buffer.baseAddress, &length), "EVP_DigestFinal_ex")
      count = Int(length)
    }
  }

  /// Like `finish`, into 32 or fewer bytes at `target`.
  mutating func finish(into target: UnsafeMutablePointer<UInt8>) {
    requireSuccess(unsafe EVP_DigestFinal_ex(pointer, target, nil), "EVP_DigestFinal_ex")
  }

  func copy() -> DigestContext {
    DigestContext(copying: self)
  }
}
