extension AESGCM {
  /// Encrypts bytes: the ciphertext, as long as they are, and 16 bytes of tag behind it.
  public func seal(
    _ plaintext: [UInt8], nonce: AESGCMNonce, additionalData: [UInt8] = []
  ) -> [UInt8] {
    let count = plaintext.count
    return unsafe [UInt8](
      unsafeUninitializedCapacity: count + Self.tagByteCount
    ) { buffer, length in
      let target = UnsafeMutableRawBufferPointer(buffer)
      unsafe plaintext.withUnsafeBytes { plaintext in
        unsafe additionalData.withUnsafeBytes { additionalData in
          unsafe seal(
            plaintext, into: UnsafeMutableRawBufferPointer(rebasing: target[..<count]),
            tag: UnsafeMutableRawBufferPointer(
              rebasing: target[count..<count + Self.tagByteCount]),
            nonce: nonce, additionalData: additionalData)
        }
      }
      length = count + Self.tagByteCount
    }
  }

  /// Decrypts what `seal` made: ciphertext and tag.
  ///
  /// Throws `authenticationFailed` when the tag does not fit or is missing.
  public func open(
    _ sealed: some Collection<UInt8>, nonce: AESGCMNonce, additionalData: [UInt8] = []
  ) throws(CryptoError) -> [UInt8] {
    guard sealed.count >= Self.tagByteCount else { throw .authenticationFailed }
    let count = sealed.count - Self.tagByteCount
    let source = Array(sealed)
    var result = [UInt8](repeating: 0, count: count)
    var isAuthentic = false
    unsafe source.withUnsafeBytes { source in
      unsafe additionalData.withUnsafeBytes { additionalData in
        unsafe result.withUnsafeMutableBytes { target in
          do {
            try unsafe open(
              UnsafeRawBufferPointer(rebasing: source[..<count]), into: target,
              tag: UnsafeRawBufferPointer(rebasing: source[count...]), nonce: nonce,
              additionalData: additionalData)
            isAuthentic = true
          } catch {
            isAuthentic = false
          }
        }
      }
    }
    guard isAuthentic else { throw .authenticationFailed }
    return result
  }
}
