import Base
import Crypto
import Glibc
import ObjectEngine
import Runtime
import TestSupport

/// The contents that clients write: any two differ in every page.
final class SimulationContents {
  /// Bytes that a seed stands for.
  struct Piece {
    var seed: UInt64
    var count: Int
  }

  private var pieces: [Int: [Piece]] = [:]
  private var values: [String: Int] = [:]

  /// The number that stands for an ETag; the pieces are its content, one behind the other.
  func value(etag: String, _ content: [Piece]) -> Int {
    let value = values[etag] ?? values.count + 1
    values[etag] = value
    pieces[value] = content
    return value
  }

  /// The number of an ETag that was written; nil for one that never was.
  func value(etag: String) -> Int? { values[etag] }

  func etag(of value: Int) -> String? { values.first { $0.value == value }?.key }

  func content(of value: Int) -> [Piece] { pieces[value] ?? [] }

  static func bytes(_ pieces: [Piece]) -> [UInt8] { pieces.flatMap { bytes($0) } }

  static func bytes(_ piece: Piece) -> [UInt8] {
    let random = SeededRandom(seed: piece.seed)
    let page = random.bytes(min(piece.count, 1024))
    var result = [UInt8](repeating: 0, count: piece.count)
    result.withUnsafeMutableBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      page.withUnsafeBytes { page in
        guard let page = page.baseAddress else { return }
        for offset in stride(from: 0, to: bytes.count, by: 1024) {
          memcpy(start + offset, page, min(1024, bytes.count - offset))
        }
      }
      // A mark that tells where it lies.
      for offset in stride(from: 0, to: bytes.count - 8, by: 16 << 10) {
        bytes.storeBytes(of: UInt64(offset), toByteOffset: offset, as: UInt64.self)
      }
    }
    return result
  }

  static func md5(_ bytes: [UInt8]) -> [UInt8] { Digest.hash(.md5, bytes) }
}

/// A client's body, that comes in pieces and takes its time.
final class SimulatedSource: ObjectSource {
  let expectedLength: Int64?
  private let bytes: [UInt8]
  private let world: SimulationWorld
  private var position = 0

  init(_ bytes: [UInt8], world: SimulationWorld) {
    self.bytes = bytes
    self.world = world
    expectedLength = world.pick(3) == 0 ? nil : Int64(bytes.count)
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    let taken = min(count, bytes.count - position, 64 << 10 + world.pick(512 << 10))
    guard taken > 0 else { return 0 }
    if world.pick(4) == 0 { try await world.clock.sleep(for: world.delay()) }
    bytes.withUnsafeBytes { source in
      buffer.withMutableBytes(offset..<offset + taken) { target in
        target.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[position..<position + taken]))
      }
    }
    position += taken
    return taken
  }
}
