import Base
import Crypto
import Testing

@Suite("AES-256-GCM")
struct AESGCMTests {
  /// Key, nonce, additional data, plaintext, ciphertext and tag.
  static let vectors: [[String]] = [
    // McGrew and Viega's test cases 13, 14 and 16.
    [
      String(repeating: "00", count: 32), String(repeating: "00", count: 12), "", "",
      "530f8afbc74536b9a963b4f1c4cb738b",
    ],
    [
      String(repeating: "00", count: 32), String(repeating: "00", count: 12), "",
      String(repeating: "00", count: 16),
      "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    ],
    [
      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
      "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        + "76fc6ece0f4e1768cddf8853bb2d551b",
    ],
  ]

  @Test("the published vectors, in both directions with one object", arguments: vectors)
  func vector(_ fields: [String]) throws {
    let bytes = try fields.map { try #require(Hex.decode($0)) }
    let cipher = AESGCM(key: bytes[0])
    let nonce = try #require(AESGCMNonce(bytes[1]))
    for _ in 0..<2 {
      #expect(cipher.seal(bytes[3], nonce: nonce, additionalData: bytes[2]) == bytes[4])
      #expect(try cipher.open(bytes[4], nonce: nonce, additionalData: bytes[2]) == bytes[3])
    }
  }

  @Test("sealing in place gives what sealing elsewhere gives, and opens in place")
  func inPlace() throws {
    let key = [UInt8](repeating: 7, count: 32)
    let cipher = AESGCM(key: key)
    for count in [0, 1, 15, 16, 17, 4095, 65_520] {
      let plaintext = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let nonce = AESGCMNonce(counter: UInt64(count))
      let expected = cipher.seal(plaintext, nonce: nonce, additionalData: [1, 2])
      var bytes = plaintext + [UInt8](repeating: 0, count: 16)
      try bytes.withUnsafeMutableBytes { bytes in
        let body = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
        let tag = UnsafeMutableRawBufferPointer(rebasing: bytes[count...])
        [UInt8]([1, 2]).withUnsafeBytes { data in
          cipher.seal(
            UnsafeRawBufferPointer(body), into: body, tag: tag, nonce: nonce, additionalData: data)
        }
        #expect(Array(bytes) == expected)
        try [UInt8]([1, 2]).withUnsafeBytes { data in
          try key.withUnsafeBytes { key in
            try AESGCM(key: key).open(
              UnsafeRawBufferPointer(body), into: body, tag: UnsafeRawBufferPointer(tag),
              nonce: nonce, additionalData: data)
          }
        }
        #expect(Array(body) == plaintext)
      }
    }
  }

  @Test("every flipped bit of ciphertext, tag, nonce and additional data is noticed")
  func flips() throws {
    let cipher = AESGCM(key: Array(0..<32))
    let nonce = AESGCMNonce(counter: 0x0102_0304_0506_0708)
    #expect(nonce.bytes == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    let sealed = cipher.seal(Array("plain".utf8), nonce: nonce, additionalData: [9, 8])
    #expect(try cipher.open(sealed, nonce: nonce, additionalData: [9, 8]) == Array("plain".utf8))
    for bit in 0..<sealed.count * 8 {
      var bad = sealed
      bad[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: CryptoError.authenticationFailed) {
        try cipher.open(bad, nonce: nonce, additionalData: [9, 8])
      }
    }
    #expect(throws: CryptoError.authenticationFailed) {
      try cipher.open(sealed, nonce: AESGCMNonce(counter: 1), additionalData: [9, 8])
    }
    #expect(throws: CryptoError.authenticationFailed) {
      try cipher.open(sealed, nonce: nonce, additionalData: [9])
    }
    #expect(throws: CryptoError.authenticationFailed) {
      try AESGCM(key: Array(1..<33)).open(sealed, nonce: nonce, additionalData: [9, 8])
    }
  }

  @Test("bytes too short for a tag are refused", arguments: 0..<16)
  func tooShort(_ count: Int) {
    let cipher = AESGCM(key: [UInt8](repeating: 1, count: 32))
    #expect(throws: CryptoError.authenticationFailed) {
      try cipher.open([UInt8](repeating: 0, count: count), nonce: .zero)
    }
  }

  @Test("a bad tag leaves no plaintext behind, and the object still works")
  func noPlaintextOnFailure() throws {
    let cipher = AESGCM(key: [UInt8](repeating: 3, count: 32))
    let plaintext = [UInt8](repeating: 0x41, count: 1000)
    let sealed = cipher.seal(plaintext, nonce: .zero)
    var target = [UInt8](repeating: 0xee, count: 1000)
    sealed.withUnsafeBytes { sealed in
      target.withUnsafeMutableBytes { target in
        let wrong = [UInt8](repeating: 0, count: 16)
        #expect(throws: CryptoError.authenticationFailed) {
          try wrong.withUnsafeBytes { wrong in
            try cipher.open(
              UnsafeRawBufferPointer(rebasing: sealed[..<1000]), into: target, tag: wrong,
              nonce: .zero)
          }
        }
      }
    }
    #expect(target == [UInt8](repeating: 0, count: 1000))
    #expect(try cipher.open(sealed, nonce: .zero) == plaintext)
  }

  @Test("a nonce has twelve bytes")
  func nonceLength() {
    #expect(AESGCMNonce([UInt8](repeating: 0, count: 11)) == nil)
    #expect(AESGCMNonce([UInt8](repeating: 0, count: 13)) == nil)
    #expect(AESGCMNonce(Array(1...12))?.bytes == Array(1...12))
  }

  @Test("tasks that share an object do not disturb each other")
  func shared() async throws {
    let cipher = AESGCM(key: [UInt8](repeating: 5, count: 32))
    try await withThrowingTaskGroup { group in
      for task in 0..<4 {
        group.addTask {
          for round in 0..<200 {
            let plaintext = [UInt8](repeating: UInt8(task), count: round)
            let nonce = AESGCMNonce(counter: UInt64(task * 1000 + round))
            let sealed = cipher.seal(plaintext, nonce: nonce)
            let opened = try cipher.open(sealed, nonce: nonce)
            #expect(opened == plaintext)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("wiping sets every byte to zero")
  func wipe() {
    var bytes: [UInt8] = [1, 2, 3]
    SecretBytes.wipe(&bytes)
    #expect(bytes == [0, 0, 0])
  }
}
