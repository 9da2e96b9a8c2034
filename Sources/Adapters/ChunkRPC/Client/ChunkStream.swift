internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// A range of a chunk that comes as one stream, and the reads that share it, each in its turn.
///
/// The windows of the connection bound what the server sends ahead.
final class ChunkStream: Sendable {
  private struct State {
    /// Where the next claim begins.
    var claimed: Int
    var nextTurn = 0
    /// The turn that may read.
    var turn = 0
    var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    var call: ClientCall?
    /// Data of the last message that nobody has read.
    var rest: MessageReader?
    var restLength = 0
    var isFailed = false
    var isLeft = false
  }

  private let range: Range<Int>
  private let chunk: ChunkID
  private let store: StoreID
  private let server: RemoteServer
  private let state: Mutex<State>

  /// Does no input or output before the first read.
  init(_ range: Range<Int>, chunk: ChunkID, store: StoreID, server: RemoteServer) {
    self.range = range
    self.chunk = chunk
    self.store = store
    self.server = server
    state = Mutex(State(claimed: range.lowerBound))
  }

  deinit { close() }

  /// A turn for the next bytes of the stream; nil when `part` is not these.
  func claim(_ part: Range<Int>) -> Int? {
    state.withLock { state in
      guard !state.isFailed, part.lowerBound == state.claimed,
        part.upperBound <= range.upperBound
      else { return nil }
      state.claimed = part.upperBound
      defer { state.nextTurn += 1 }
      return state.nextTurn
    }
  }

  /// Reads the bytes that `turn` has claimed; afterwards the next turn may read.
  func read(
    _ turn: Int, _ count: Int, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    await wait(for: turn)
    do throws(ChunkStoreError) {
      try await take(count, into: buffer, at: offset)
    } catch {
      close()
      throw error
    }
    let (next, isLast) = state.withLock { state in
      state.turn += 1
      return (
        state.waiting.removeValue(forKey: state.turn),
        state.turn == state.nextTurn && (state.isLeft || state.claimed == range.upperBound)
      )
    }
    next?.resume()
    if isLast { close(isComplete: true) }
  }

  /// Ends the stream once nobody has a turn left.
  func closeWhenRead() {
    let isIdle = state.withLock { state in
      state.isLeft = true
      return state.turn == state.nextTurn
    }
    if isIdle { close() }
  }

  /// Ends the stream: reads that wait fail.
  func close() { close(isComplete: false) }

  private func close(isComplete: Bool) {
    let (call, waiting) = state.withLock { state in
      state.isFailed = true
      state.rest = nil
      defer { state.waiting = [:] }
      return (state.call.take(), Array(state.waiting.values))
    }
    if let call {
      let isWhole = isComplete && state.withLock { $0.claimed == range.upperBound }
      if !isWhole { call.cancel() }
      server.end(call, .getChunk, call.endedWith?.code ?? (isWhole ? .ok : .cancelled))
    }
    for continuation in waiting { continuation.resume() }
  }

  private func wait(for turn: Int) async {
    await withCheckedContinuation { continuation in
      let isReady = state.withLock { state in
        guard !state.isFailed, state.turn != turn else { return true }
        state.waiting[turn] = continuation
        return false
      }
      if isReady { continuation.resume() }
    }
  }

  /// Called by one read at a time.
  private func take(
    _ count: Int, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    let call = try await started()
    var done = 0
    while done < count {
      var (rest, length) = state.withLock { ($0.rest, $0.restLength) }
      if length == 0 { (rest, length) = try await receive(call) }
      guard var data = rest else { throw .offline("the stream was ended") }
      let part = min(length, count - done)
      do throws(FormatError) {
        try data.read(part, into: buffer, at: offset + done)
      } catch {
        throw .io("an answer that is none")
      }
      done += part
      let (left, remaining) = (data, length - part)
      state.withLock { state in
        state.rest = remaining > 0 ? left : nil
        state.restLength = remaining
      }
    }
  }

  private func receive(
    _ call: ClientCall
  ) async throws(ChunkStoreError) -> (MessageReader?, Int) {
    call.beginOperation(timeout: server.settings.readTimeout)
    guard let received = await call.receive() else {
      let status = await call.status()
      throw status.code == .ok ? .io("the stream is too short") : StatusMapping.error(status)
    }
    call.endOperation()
    let message = try server.decoded { () throws(FormatError) in try GetMessage(received) }
    guard message.dataLength > 0 else { throw .io("an answer without data") }
    server.counters.received(bytes: message.dataLength)
    return (message.data, message.dataLength)
  }

  private func started() async throws(ChunkStoreError) -> ClientCall {
    let (running, isFailed) = state.withLock { ($0.call, $0.isFailed) }
    guard !isFailed else { throw .offline("the stream was ended") }
    if let running { return running }
    let call = try server.begin(.getChunk, .bulk, timeout: server.settings.streamTimeout)
    let isKept = state.withLock { state in
      guard !state.isFailed else { return false }
      state.call = call
      return true
    }
    guard isKept else {
      call.cancel()
      server.end(call, .getChunk, .cancelled)
      throw .offline("the stream was ended")
    }
    var request = GetRequest(store: store, chunk: chunk)
    request.offset = range.lowerBound
    request.length = range.count
    // Long reads have fewer messages; short ones do not make the server read what nobody wants.
    let isLong = range.count >= 4 * WireLimits.data
    request.messageLength = isLong ? WireLimits.data : WireLimits.pieceData
    request.isWithoutTrailer = true
    server.counters.sent()
    _ = await call.start(OutgoingMessage(request.encoded), isLast: true)
    return call
  }
}
