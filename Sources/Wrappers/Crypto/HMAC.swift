internal import COpenSSL

/// Keyed message authentication codes (RFC 2104).
///
/// Built on one digest context: the MAC objects of OpenSSL 3.0 look the digest up by its name on
/// each new key, which costs more than the code of a short message itself.
public enum HMAC {
  /// HMAC-SHA256 of one message: 32 bytes. Key and message may have any length.
  public static func sha256(key: [UInt8], message: [UInt8]) -> [UInt8] {
    unsafe message.withUnsafeBytes { unsafe sha256(key: key, message: $0) }
  }

  /// HMAC-SHA256 of the UTF-8 of a string: 32 bytes.
  public static func sha256(key: [UInt8], message: String) -> [UInt8] {
    var message = message
    return message.withUTF8 { unsafe sha256(key: key, message: UnsafeRawBufferPointer($0)) }
  }

  /// HMAC-SHA256 of bytes that stay valid and unchanged until the call returns: 32 bytes.
  public static func sha256(key: [UInt8], message: UnsafeRawBufferPointer) -> [UInt8] {
    var context = DigestContext(.sha256)
    return unsafe key.withUnsafeBytes { key in
      unsafe code(&context, key: key, message: message)
    }
  }

  /// HMAC-SHA1 of one message: 20 bytes. For the old signatures that need it and for nothing else.
  public static func sha1(key: [UInt8], message: [UInt8]) -> [UInt8] {
    var context = DigestContext(.sha1)
    return unsafe key.withUnsafeBytes { key in
      unsafe message.withUnsafeBytes { unsafe code(&context, key: key, message: $0) }
    }
  }

  /// The code of a digest with blocks of 64 bytes, as SHA-1 and SHA-256 have.
  ///
  /// The context is fresh or reset, and must be reset before its next use.
  private static func code(
    _ context: inout DigestContext, key: UnsafeRawBufferPointer, message: UnsafeRawBufferPointer
  ) -> [UInt8] {
    var block: [64 of UInt8] = .init(repeating: 0)
    return unsafe withUnsafeMutableBytes(of: &block) { block in
      defer { unsafe SecretBytes.wipe(block) }
      guard let start = block.baseAddress else { return [] }
      if key.count > 64 {
        unsafe context.update(key)
        unsafe context.finish(into: start.assumingMemoryBound(to: UInt8.self))
        context.reset()
      } else {
        unsafe block.copyMemory(from: key)
      }
      for index in block.indices { unsafe block[index] ^= 0x36 }
      unsafe context.update(UnsafeRawBufferPointer(block))
      unsafe context.update(message)
      let inner = context.finish()
      context.reset()
      // 0x36 ^ 0x5c turns the inner pad into the outer one.
      for index in block.indices { unsafe block[index] ^= 0x6a }
      unsafe context.update(UnsafeRawBufferPointer(block))
      unsafe inner.withUnsafeBytes { unsafe context.update($0) }
      return context.finish()
    }
  }
}
