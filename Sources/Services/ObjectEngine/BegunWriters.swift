import ChunkStore
import Synchronization

/// Writers that several tasks begin at a time, by chunk.
final class BegunWriters: Sendable {
  private let writers = Mutex<[Int: any ChunkWriter]>([:])

  func set(_ index: Int, _ writer: (any ChunkWriter)?) {
    writers.withLock { $0[index] = writer }
  }

  var all: [Int: any ChunkWriter] { writers.withLock { $0 } }
}
