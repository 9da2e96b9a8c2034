import ChunkStore
import Runtime
import Synchronization
import TestSupport

/// A store that holds back what is written until it is told.
final class HoldingStore: ForwardingStore {
  private struct State {
    var isHeld = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  let inner: any ChunkStore
  private let state = Mutex(State())

  init(_ inner: any ChunkStore) { self.inner = inner }

  /// How many writes wait.
  var waiting: Int { state.withLock { $0.waiting.count } }

  func hold() { state.withLock { $0.isHeld = true } }

  func release() {
    let waiting = state.withLock { state in
      state.isHeld = false
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  private func pass() async {
    await withCheckedContinuation { continuation in
      let isHeld = state.withLock { state in
        if state.isHeld { state.waiting.append(continuation) }
        return state.isHeld
      }
      if !isHeld { continuation.resume() }
    }
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    await pass()
    try await inner.putSmall(header, data: data, range: range, trailer: trailer, space: space)
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    await pass()
    return try await inner.beginChunk(header)
  }
}
