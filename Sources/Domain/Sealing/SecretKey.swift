import Crypto

/// A 256-bit key that is wiped when its last owner lets go of it. It never prints itself.
final class SecretKey: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
  static let byteCount = 32

  // Changed by `deinit` alone, when nobody else can read it.
  private var bytes: [UInt8]

  /// Precondition: 32 bytes.
  init(_ bytes: consuming some Collection<UInt8>) {
    precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
    // A copy of its own, so that wiping it wipes nobody else's array.
    var copy: [UInt8] = []
    copy.reserveCapacity(Self.byteCount)
    copy.append(contentsOf: bytes)
    self.bytes = copy
  }

  deinit {
    SecretBytes.wipe(&bytes)
  }

  /// Lends the bytes, which must not outlive the call.
  func withBytes<R, E: Error>(_ body: ([UInt8]) throws(E) -> R) throws(E) -> R {
    try body(bytes)
  }

  /// HKDF-SHA256 of this key.
  func derive(salt: [UInt8], info: [UInt8], count: Int = SecretKey.byteCount) -> [UInt8] {
    HKDF.sha256(inputKey: bytes, salt: salt, info: info, count: count)
  }

  /// A cipher under a key derived from this one.
  func deriveCipher(salt: [UInt8], info: [UInt8]) -> AESGCM {
    var key = derive(salt: salt, info: info)
    defer { SecretBytes.wipe(&key) }
    return AESGCM(key: key)
  }

  var description: String { "<key>" }

  /// Nothing: `dump` and `String(reflecting:)` of whatever holds a key show no byte of it.
  var customMirror: Mirror { Mirror(self, children: []) }
}

/// The strings that keep keys of different uses apart. Part of format 1.
enum Label {
  static let masterKeyFile = Array("s3storage master key check".utf8)
  static let masterCheck = Array("s3storage/1 master check".utf8)
  static let keyWrap = Array("s3storage/1 kek wrap".utf8)
  static let extent = Array("s3storage/1 extent".utf8)
  static let extentKey = Array("s3storage/1 extent key".utf8)
  static let customer = Array("s3storage/1 sse-c".utf8)
  static let descriptor = Array("s3storage/1 descriptor".utf8)
  static let secret = Array("s3storage/1 secret".utf8)
}
