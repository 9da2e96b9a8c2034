import ObjectEngine
import Runtime

/// Gives bytes in pieces of odd lengths, with or without telling how many will come.
final class ModelSource: ObjectSource {
  let expectedLength: Int64?
  private let bytes: [UInt8]
  private let random: SeededRandom
  private var position = 0

  init(_ bytes: [UInt8], isKnown: Bool, seed: UInt64) {
    self.bytes = bytes
    expectedLength = isKnown ? Int64(bytes.count) : nil
    random = SeededRandom(seed: seed)
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    let most = 1 + Int(random.next() % 300_000)
    let taken = min(count, most, bytes.count - position)
    guard taken > 0 else { return 0 }
    buffer.copy(Array(bytes[position..<position + taken]), at: offset)
    position += taken
    return taken
  }
}
