internal import COpenSSL
import Synchronization

/// A running digest: bytes go in by pieces, the digest comes out at the end.
///
/// It may be handed from task to task; calls from several at once are safe, though the order in
/// which their bytes go in is then open.
@safe
public final class Digest: Sendable {
  /// What is computed.
  public let algorithm: DigestAlgorithm

  private let context: Mutex<DigestContext>

  /// Starts with no bytes.
  public init(_ algorithm: DigestAlgorithm) {
    self.algorithm = algorithm
    context = Mutex(DigestContext(algorithm))
  }

  private init(_ algorithm: DigestAlgorithm, _ context: consuming sending DigestContext) {
    self.algorithm = algorithm
    self.context = Mutex(context)
  }

  /// Adds bytes. They must stay valid and unchanged until the call returns.
  public func update(_ bytes: UnsafeRawBufferPointer) {
    context.withLock { unsafe $0.update(bytes) }
  }

  /// Adds bytes.
  public func update(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// Adds bytes.
  public func update(_ bytes: ArraySlice<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// Adds bytes.
  public func update(_ bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  /// Adds the UTF-8 of a string.
  public func update(_ text: String) {
    var text = text
    text.withUTF8 { unsafe update(UnsafeRawBufferPointer($0)) }
  }

  /// The digest of all bytes added so far; afterwards it starts anew with no bytes.
  public func finish() -> [UInt8] {
    context.withLock { context in
      let result = context.finish()
      context.reset()
      return result
    }
  }

  /// A digest in the same state that goes its own way from here.
  public func copy() -> Digest {
    let context = self.context.withLock { $0.copy() }
    return Digest(algorithm, context)
  }

  /// The digest of one run of bytes.
  public static func hash(_ algorithm: DigestAlgorithm, _ bytes: [UInt8]) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { unsafe hash(algorithm, $0) }
  }

  /// The digest of one run of bytes.
  public static func hash(_ algorithm: DigestAlgorithm, _ bytes: ArraySlice<UInt8>) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { unsafe hash(algorithm, $0) }
  }

  /// The digest of the UTF-8 of a string.
  public static func hash(_ algorithm: DigestAlgorithm, _ text: String) -> [UInt8] {
    var text = text
    return text.withUTF8 { unsafe hash(algorithm, UnsafeRawBufferPointer($0)) }
  }

  /// The digest of one run of bytes, which stays valid and unchanged until the call returns.
  public static func hash(
    _ algorithm: DigestAlgorithm, _ bytes: UnsafeRawBufferPointer
  ) -> [UInt8] {
    var context = DigestContext(algorithm)
    unsafe context.update(bytes)
    return context.finish()
  }
}
