import CCipherProvider
import COpenSSL
import Runtime
import Testing

/// AES-GCM by an implementation of its own, in a context that no one else uses.
private final class Implementation {
  private let library: OpaquePointer
  private let cipher: OpaquePointer

  /// `provider` is "default" for OpenSSL's; nil where this machine has not what it takes.
  init?(_ provider: String, keyBits: Int) throws {
    library = try #require(OSSL_LIB_CTX_new())
    let result = cipher_provider_load(library)
    guard provider == "default" || result == CIPHER_PROVIDER_LOADED else {
      #expect(result == CIPHER_PROVIDER_NOT_CAPABLE || result == CIPHER_PROVIDER_NOT_BUILT)
      OSSL_LIB_CTX_free(library)
      return nil
    }
    cipher = try #require(
      EVP_CIPHER_fetch(library, "AES-\(keyBits)-GCM", "provider=\(provider)"))
  }

  deinit {
    EVP_CIPHER_free(cipher)
    OSSL_LIB_CTX_free(library)
  }

  func session() throws -> Session { Session(try #require(EVP_CIPHER_CTX_new()), cipher) }
}

/// What libssl and `AESGCM` do with a cipher; each call says whether it succeeded.
private final class Session {
  private let context: OpaquePointer

  init(_ context: OpaquePointer, _ cipher: OpaquePointer) {
    self.context = context
    _ = EVP_CipherInit_ex2(context, cipher, nil, nil, 1, nil)
  }

  deinit { EVP_CIPHER_CTX_free(context) }

  func setKey(_ key: [UInt8]) -> Bool {
    EVP_CipherInit_ex2(context, nil, key, nil, -1, nil) == 1
  }

  func setNonceLength(_ count: Int) -> Bool {
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, Int32(count), nil) == 1
  }

  func begin(_ nonce: [UInt8], encrypts: Bool) -> Bool {
    EVP_CipherInit_ex2(context, nil, nil, nonce, encrypts ? 1 : 0, nil) == 1
  }

  func add(_ additional: [UInt8]) -> Bool {
    var length: Int32 = 0
    return EVP_CipherUpdate(context, nil, &length, additional, Int32(additional.count)) == 1
  }

  /// In place, in pieces that end at `ends`.
  func process(_ data: inout [UInt8], ends: [Int]) -> Bool {
    var start = 0
    return data.withUnsafeMutableBufferPointer { data in
      for end in ends {
        var length: Int32 = 0
        let place = data.baseAddress.map { $0 + start }
        guard EVP_CipherUpdate(context, place, &length, place, Int32(end - start)) == 1,
          Int(length) == end - start
        else { return false }
        start = end
      }
      return true
    }
  }

  /// From one buffer to another; nil when it fails.
  func processed(_ data: [UInt8]) -> [UInt8]? {
    var (result, length) = ([UInt8](repeating: 0, count: data.count), Int32(0))
    let isDone = EVP_CipherUpdate(context, &result, &length, data, Int32(data.count)) == 1
    return isDone && Int(length) == data.count ? result : nil
  }

  func process(_ data: inout [UInt8]) -> Bool { process(&data, ends: [data.count]) }

  func expect(tag: [UInt8]) -> Bool {
    var tag = tag
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1
  }

  func end() -> Bool {
    var (length, nothing): (Int32, UInt8) = (0, 0)
    return EVP_CipherFinal_ex(context, &nothing, &length) == 1
  }

  func tag(_ count: Int = 16) -> [UInt8]? {
    var tag = [UInt8](repeating: 0, count: count)
    let isKnown = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(count), &tag) == 1
    return isKnown ? tag : nil
  }
}

@Suite("AES-GCM of the provider is that of OpenSSL")
struct CipherProviderTests {
  @Test(
    "messages of all lengths, in pieces, with and without additional data", arguments: [128, 256])
  func messages(keyBits: Int) throws {
    guard let fast = try Implementation("ipsec-mb", keyBits: keyBits) else { return }
    let plain = try #require(try Implementation("default", keyBits: keyBits))
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededRandom(seed: seed)
    let key = random.bytes(keyBits / 8)
    let (one, other) = (try fast.session(), try plain.session())
    #expect(one.setKey(key) && other.setKey(key))
    // The library works on 48 blocks at once; TLS has records of up to 16 KiB and a byte.
    let lengths = Array(0...1600) + [16_383, 16_384, 16_385, 70_001]
    for length in lengths {
      let nonce = random.bytes(12)
      let additional = random.bytes(Int.random(in: 0...40, using: &random))
      let message = random.bytes(length)
      let cuts = (0..<2).map { _ in Int.random(in: 0...length, using: &random) }
      let ends = cuts.sorted() + [length]
      let story: Comment = "seed \(seed), \(keyBits) bits, \(length) bytes in pieces to \(ends)"
      var (sealed, expected) = (message, message)
      #expect(one.begin(nonce, encrypts: true) && other.begin(nonce, encrypts: true))
      if !additional.isEmpty { #expect(one.add(additional) && other.add(additional)) }
      #expect(one.process(&sealed, ends: ends) && other.process(&expected))
      #expect(one.end() && other.end())
      let tag = try #require(other.tag())
      #expect(sealed == expected, story)
      #expect(one.tag() == tag, story)
      #expect(one.begin(nonce, encrypts: true))
      if !additional.isEmpty { #expect(one.add(additional)) }
      #expect(one.processed(message) == expected && one.end() && one.tag() == tag, story)

      #expect(one.begin(nonce, encrypts: false))
      if !additional.isEmpty { #expect(one.add(additional)) }
      #expect(one.process(&sealed, ends: ends) && one.expect(tag: tag) && one.end(), story)
      #expect(sealed == message, story)
    }
  }

  @Test("a changed tag, message, additional datum, nonce or key is noticed", arguments: [128, 256])
  func tampering(keyBits: Int) throws {
    guard let fast = try Implementation("ipsec-mb", keyBits: keyBits) else { return }
    let seed = UInt64.random(in: 0...UInt64.max)
    let random = SeededRandom(seed: seed)
    let parts = [keyBits / 8, 12, 13, 100].map { random.bytes($0) }
    let session = try fast.session()
    #expect(session.setKey(parts[0]) && session.begin(parts[1], encrypts: true))
    var sealed = parts[3]
    #expect(session.add(parts[2]) && session.process(&sealed) && session.end())
    let right = [parts[0], parts[1], parts[2], sealed, try #require(session.tag())]
    func opens(_ parts: [[UInt8]]) throws -> Bool {
      let session = try fast.session()
      var data = parts[3]
      return session.setKey(parts[0]) && session.begin(parts[1], encrypts: false)
        && session.expect(tag: parts[4]) && session.add(parts[2]) && session.process(&data)
        && session.end()
    }
    #expect(try opens(right))
    for (index, part) in right.enumerated() {
      for bit in 0..<part.count * 8 {
        var wrong = right
        wrong[index][bit / 8] ^= 1 << (bit % 8)
        #expect(try !opens(wrong), "bit \(bit) of part \(index), seed \(seed)")
      }
    }
    var without = right
    without[2].removeLast()
    #expect(try !opens(without))
  }

  @Test("what must not be done fails, and says so")
  func refusals() throws {
    guard let fast = try Implementation("ipsec-mb", keyBits: 256) else { return }
    let nonce = [UInt8](repeating: 1, count: 12)
    var data: [UInt8] = [1, 2, 3]

    let keyless = try fast.session()
    #expect(keyless.begin(nonce, encrypts: true))
    #expect(!keyless.process(&data) && !keyless.end())

    let session = try fast.session()
    #expect(session.setKey([UInt8](repeating: 2, count: 32)))
    #expect(!session.process(&data), "without a nonce")
    #expect(session.begin(nonce, encrypts: true) && session.process(&data))
    #expect(session.tag() == nil, "before the end")
    #expect(!session.add([1]), "additional data behind data")
    #expect(
      !session.expect(tag: [UInt8](repeating: 0, count: 16)), "of a message that is encrypted")
    #expect(!session.setNonceLength(16), "in mid-message")
    #expect(session.end())
    #expect(!session.process(&data) && !session.end(), "a nonce serves once")

    #expect(session.begin(nonce, encrypts: false) && session.process(&data))
    #expect(!session.end(), "without a tag")
    #expect(session.begin(nonce, encrypts: false))
    #expect(!session.expect(tag: [UInt8](repeating: 0, count: 17)))
    #expect(session.tag() == nil, "of a message that is decrypted")
  }

  @Test("nonces of another length are OpenSSL's affair", arguments: [8, 16, 60])
  func otherNonces(count: Int) throws {
    guard let fast = try Implementation("ipsec-mb", keyBits: 256) else { return }
    let plain = try #require(try Implementation("default", keyBits: 256))
    let seed = UInt64.random(in: 0...UInt64.max)
    let random = SeededRandom(seed: seed)
    let (key, nonce) = (random.bytes(32), random.bytes(count))
    let message = random.bytes(1000)
    var sealed: [[UInt8]] = []
    for implementation in [fast, plain] {
      let session = try implementation.session()
      var data = message
      #expect(session.setNonceLength(count) && session.setKey(key))
      #expect(session.begin(nonce, encrypts: true) && session.add([7]) && session.process(&data))
      #expect(session.end())
      let tag = try #require(session.tag())
      sealed.append(data + tag)
      #expect(session.begin(nonce, encrypts: false) && session.add([7]))
      #expect(session.process(&data) && session.expect(tag: tag) && session.end())
      #expect(data == message, "seed \(seed)")
    }
    #expect(sealed[0] == sealed[1], "seed \(seed)")
  }
}
