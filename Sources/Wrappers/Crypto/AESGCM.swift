internal import COpenSSL
import Synchronization

/// What opening sealed bytes may throw.
public enum CryptoError: Error, Hashable, Sendable {
  /// The tag does not fit the bytes: wrong key, nonce or additional data, or changed bytes.
  case authenticationFailed
}

/// AES-256-GCM (NIST SP 800-38D) under one key, with nonces of 12 and tags of 16 bytes.
///
/// The key schedule is made once; a call changes the nonce only. Calls from several tasks are
/// safe and wait for each other: for work in parallel, make one object per task. The caller sees to
/// it that no two seals under a key share a nonce.
@safe
public final class AESGCM: Sendable {
  /// Bytes of a key.
  public static let keyByteCount = 32
  /// Bytes of a nonce.
  public static let nonceByteCount = 12
  /// Bytes of a tag.
  public static let tagByteCount = 16

  private let context: Mutex<CipherContext>

  /// Sets up the key schedule. Precondition: `key` has 32 bytes.
  public init(key: [UInt8]) {
    precondition(key.count == Self.keyByteCount, "an AES-256 key has 32 bytes")
    context = Mutex(CipherContext(key: key))
  }

  /// Sets up the key schedule of a key at a place. Precondition: `key` has 32 bytes.
  public init(key: UnsafeRawBufferPointer) {
    precondition(key.count == Self.keyByteCount, "an AES-256 key has 32 bytes")
    context = Mutex(unsafe CipherContext(key: key))
  }

  /// Encrypts `plaintext` to `ciphertext` and writes its tag.
  ///
  /// Precondition: both runs have the same length, at most 1 GiB, and are the same memory or do not
  /// overlap; `tag` has 16 bytes.
  public func seal(
    _ plaintext: UnsafeRawBufferPointer, into ciphertext: UnsafeMutableRawBufferPointer,
    tag: UnsafeMutableRawBufferPointer, nonce: AESGCMNonce,
    additionalData: UnsafeRawBufferPointer = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  ) {
    unsafe Self.check(plaintext, ciphertext, tag: UnsafeRawBufferPointer(tag))
    context.withLock { context in
      unsafe context.begin(encrypt: true, nonce: nonce, additionalData: additionalData)
      unsafe context.process(plaintext, into: ciphertext)
      unsafe context.finishSealing(tag: tag)
    }
  }

  /// Decrypts `ciphertext` to `plaintext` after which `tag` decides whether it may be used.
  ///
  /// Throws `authenticationFailed` when the tag does not fit; `plaintext` is zero then.
  /// Precondition: both runs have the same length, at most 1 GiB, and are the same memory or do not
  /// overlap; `tag` has 16 bytes.
  public func open(
    _ ciphertext: UnsafeRawBufferPointer, into plaintext: UnsafeMutableRawBufferPointer,
    tag: UnsafeRawBufferPointer, nonce: AESGCMNonce,
    additionalData: UnsafeRawBufferPointer = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  ) throws(CryptoError) {
    try unsafe open(
      [ciphertext], into: plaintext, tag: tag, nonce: nonce, additionalData: additionalData)
  }

  /// Decrypts a ciphertext that lies in several runs, in their order, as the other form does.
  ///
  /// Throws `authenticationFailed` when the tag does not fit; `plaintext` is zero then.
  /// Precondition: `plaintext` has as many bytes as all runs, at most 1 GiB, and is the same memory as
  /// the only run or overlaps none; `tag` has 16 bytes.
  public func open(
    _ runs: [UnsafeRawBufferPointer], into plaintext: UnsafeMutableRawBufferPointer,
    tag: UnsafeRawBufferPointer, nonce: AESGCMNonce,
    additionalData: UnsafeRawBufferPointer = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
  ) throws(CryptoError) {
    precondition(tag.count == Self.tagByteCount, "a tag has 16 bytes")
    let isAuthentic = context.withLock { context in
      unsafe context.begin(encrypt: false, nonce: nonce, additionalData: additionalData)
      var offset = 0
      for index in unsafe runs.indices {
        let run = unsafe runs[index]
        let end = offset + run.count
        precondition(end <= plaintext.count, "cipher- and plaintext have the same length")
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: plaintext[offset..<end])
        unsafe Self.check(run, target, tag: tag)
        unsafe context.process(run, into: target)
        offset = end
      }
      precondition(offset == plaintext.count, "cipher- and plaintext have the same length")
      return unsafe context.finishOpening(tag: tag)
    }
    guard isAuthentic else {
      unsafe SecretBytes.wipe(plaintext)
      throw .authenticationFailed
    }
  }

  private static func check(
    _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer,
    tag: UnsafeRawBufferPointer
  ) {
    precondition(source.count == target.count, "cipher- and plaintext have the same length")
    precondition(source.count <= 1 << 30, "at most 1 GiB at once")
    precondition(tag.count == tagByteCount, "a tag has 16 bytes")
    guard let from = source.baseAddress, let to = target.baseAddress, source.count > 0 else {
      return
    }
    let (low, high) = (UInt(bitPattern: from), UInt(bitPattern: to))
    let distance = low > high ? low - high : high - low
    precondition(distance == 0 || distance >= UInt(source.count), "in place or apart")
  }
}
