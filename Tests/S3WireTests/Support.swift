import Runtime
import S3Wire

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func slice(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

/// The code that a body throws; nil when it does not throw an S3 error.
func code(_ body: () throws -> Void) -> S3Error.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? S3Error)?.code
  }
}

/// Changes a few bytes of a text at random.
func mutate(_ text: String, _ random: inout SeededRandom) -> [UInt8] {
  var bytes = Array(text.utf8)
  for _ in 0..<Int.random(in: 1...4, using: &random) {
    let index = Int.random(in: 0...bytes.count, using: &random)
    switch Int.random(in: 0..<3, using: &random) {
    case 0 where index < bytes.count: bytes[index] = UInt8.random(in: 0...255, using: &random)
    case 1 where index < bytes.count: bytes.remove(at: index)
    default: bytes.insert(contentsOf: bytes[index...].prefix(4), at: index)
    }
  }
  return bytes
}
