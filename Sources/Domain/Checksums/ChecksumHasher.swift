import Crypto
import ISAL
import Synchronization

/// A running checksum: bytes go in by pieces, the value comes out at the end.
///
/// It may be handed from task to task; calls from several at once are safe, though the order in
/// which their bytes go in is then open.
public final class ChecksumHasher: Sendable {
  private enum State {
    case crc32(UInt32)
    case crc32c(UInt32)
    case crc64nvme(UInt64)
    case digest(Digest)
  }

  /// What is computed.
  public let algorithm: ChecksumAlgorithm

  private let state: Mutex<State>

  /// Starts with no bytes.
  public init(_ algorithm: ChecksumAlgorithm) {
    self.algorithm = algorithm
    state = Mutex(Self.start(algorithm))
  }

  private static func start(_ algorithm: ChecksumAlgorithm) -> State {
    switch algorithm {
    case .crc32: .crc32(0)
    case .crc32c: .crc32c(0)
    case .crc64nvme: .crc64nvme(0)
    case .sha1: .digest(Digest(.sha1))
    case .sha256: .digest(Digest(.sha256))
    }
  }

  /// Adds bytes. They must stay valid and unchanged until the call returns.
  public func update(_ bytes: UnsafeRawBufferPointer) {
    state.withLock { state in
      switch state {
      case .crc32(let value): state = unsafe .crc32(CRC32.crc(bytes, after: value))
      case .crc32c(let value): state = unsafe .crc32c(CRC32C.crc(bytes, after: value))
      case .crc64nvme(let value): state = unsafe .crc64nvme(CRC64NVME.crc(bytes, after: value))
      case .digest(let digest): unsafe digest.update(bytes)
      }
    }
  }

  /// Adds bytes.
  public func update(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// Adds bytes.
  public func update(_ bytes: ArraySlice<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// The checksum of all bytes added so far; afterwards it starts anew with no bytes.
  public func finish() -> Checksum {
    state.withLock { state in
      let bytes: [UInt8]
      switch state {
      case .crc32(let value), .crc32c(let value):
        bytes = BigEndian.bytes(value)
        state = Self.start(algorithm)
      case .crc64nvme(let value):
        bytes = BigEndian.bytes(value)
        state = Self.start(algorithm)
      case .digest(let digest):
        bytes = digest.finish()
      }
      return Checksum(algorithm, bytes)
    }
  }

  /// The checksum of one run of bytes.
  public static func checksum(_ algorithm: ChecksumAlgorithm, of bytes: [UInt8]) -> Checksum {
    let hasher = ChecksumHasher(algorithm)
    hasher.update(bytes)
    return hasher.finish()
  }
}
