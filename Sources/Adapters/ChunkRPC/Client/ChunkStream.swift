internal import Base
internal import ChunkStore
internal import GRPC
internal import Synchronization

/// A range of a chunk that comes as one stream, and the reads that share it.
///
/// They come in about the order of their parts: one that comes early passes over what lies before
/// its part, and keeps it for the one whose it is. So no read waits for another to begin. The windows
/// of the connection bound what the server sends ahead, `StreamClaims.largestGap` what is kept.
final class ChunkStream: Sendable {
  private struct State {
    var claims: StreamClaims
    /// Where the next byte lies that no read has taken or passed over.
    var position: Int
    /// What reads have passed over.
    var kept = KeptPieces()
    /// Whether a read takes data from the call, and those that wait for its end.
    var isTaking = false
    var waiting: [CheckedContinuation<Void, Never>] = []
    var call: ClientCall?
    /// Nil once the stream has ended.
    var lease: StreamLease?
    /// Data of the last message that nobody has read.
    var rest: MessageReader?
    var restLength = 0
    var isFailed = false
    var isLeft = false
  }

  private enum Turn {
    case take
    case kept
    case wait
    case failed
  }

  private let range: Range<Int>
  private let chunk: ChunkID
  private let store: StoreID
  private let messageLength: Int
  private let server: RemoteServer
  private let state: Mutex<State>

  /// Does no input or output before the first read.
  init(
    _ range: Range<Int>, chunk: ChunkID, store: StoreID, server: RemoteServer, lease: StreamLease
  ) {
    self.range = range
    self.chunk = chunk
    self.store = store
    self.server = server
    messageLength = lease.messageLength
    state = Mutex(
      State(claims: StreamClaims(range), position: range.lowerBound, lease: lease))
  }

  deinit { close() }

  /// Claims a part of the stream for one `read`; false when it cannot come with it.
  func claim(_ part: Range<Int>) -> Bool {
    state.withLock { !$0.isFailed && $0.claims.claim(part) }
  }

  /// Whether its last part was claimed: what is missing may still be.
  var isAtEnd: Bool { state.withLock { $0.claims.isAtEnd } }

  /// Reads a part that was claimed.
  func read(_ part: Range<Int>) async throws(ChunkStoreError) -> ReceivedBytes {
    do throws(ChunkStoreError) {
      let pieces: [StreamPiece]
      if try await isTurn(part) {
        pieces = try await take(part)
        endTurn()
      } else {
        pieces = try server.decoded { () throws(FormatError) in
          try state.withLock { state throws(FormatError) in try state.kept.take(part) }
        }
      }
      let bytes = try server.decoded { () throws(FormatError) in try ReceivedBytes(pieces) }
      wasRead()
      return bytes
    } catch {
      close()
      throw error
    }
  }

  /// Claims and reads a part that comes next and has come, all of it in one message; nil, and
  /// nothing claimed, where it may not have.
  func readAtOnce(_ part: Range<Int>) -> ReceivedBytes? {
    let isNext = state.withLock { state in
      guard !state.isFailed, !state.isTaking, state.position == part.lowerBound else {
        return false
      }
      state.isTaking = true
      return true
    }
    guard isNext else { return nil }
    defer { endTurn() }
    do throws(FormatError) {
      try receiveAtOnce()
      guard var data = claimAtOnce(part) else { return nil }
      let bytes = try ReceivedBytes([(data, part.count)])
      try data.skip(part.count)
      advance(to: part.upperBound, data)
      wasRead()
      return bytes
    } catch {
      close()
      return nil
    }
  }

  /// Takes the next message where there is one and nothing is left of the one before.
  private func receiveAtOnce() throws(FormatError) {
    guard let call = state.withLock({ $0.restLength == 0 ? $0.call : nil }),
      let received = call.receiveAtOnce()
    else { return }
    let (data, length) = try opened(received, of: call)
    state.withLock { state in
      guard !state.isFailed else { return }
      (state.rest, state.restLength) = (data, length)
    }
  }

  private func claimAtOnce(_ part: Range<Int>) -> MessageReader? {
    state.withLock { state in
      guard state.restLength >= part.count, state.claims.claim(part) else { return nil }
      return state.rest
    }
  }

  /// What the last message holds has been taken up to `position`; `data` stands behind it.
  private func advance(to position: Int, _ data: MessageReader) {
    state.withLock { state in
      guard !state.isFailed else { return }
      state.restLength -= position - state.position
      state.position = position
      state.rest = state.restLength > 0 ? data : nil
    }
  }

  private func wasRead() {
    let isLast = state.withLock { state in
      state.claims.wasRead()
      return state.claims.pending == 0 && (state.isLeft || state.claims.isComplete)
    }
    if isLast { close() }
  }

  /// Ends the stream once nobody reads what he has claimed.
  func closeWhenRead() {
    let isIdle = state.withLock { state in
      state.isLeft = true
      return state.claims.pending == 0
    }
    if isIdle { close() }
  }

  /// Ends the stream: reads that wait fail.
  func close() {
    let (call, waiting, isWhole) = state.withLock { state in
      state.isFailed = true
      state.rest = nil
      state.kept = KeptPieces()
      state.lease = nil
      defer { state.waiting = [] }
      return (state.call.take(), state.waiting, state.position == range.upperBound)
    }
    if let call {
      if !isWhole { call.cancel() }
      server.end(call, .getChunk, call.endedWith?.code ?? (isWhole ? .ok : .cancelled))
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Waits until the part may be taken from the call, or false: has been kept.
  private func isTurn(_ part: Range<Int>) async throws(ChunkStoreError) -> Bool {
    while true {
      switch state.withLock({ turn(part, &$0) }) {
      case .take: return true
      case .kept: return false
      case .failed: throw .offline("the stream was ended")
      case .wait:
        await withCheckedContinuation { continuation in
          let isOver = state.withLock { state in
            guard !state.isFailed, state.isTaking else { return true }
            state.waiting.append(continuation)
            return false
          }
          if isOver { continuation.resume() }
        }
      }
    }
  }

  private func turn(_ part: Range<Int>, _ state: inout State) -> Turn {
    if state.isFailed { return .failed }
    if part.upperBound <= state.position { return .kept }
    if state.isTaking { return .wait }
    state.isTaking = true
    return .take
  }

  private func endTurn() {
    let waiting = state.withLock { state in
      state.isTaking = false
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Called by one read at a time: what comes before the part is kept.
  private func take(_ part: Range<Int>) async throws(ChunkStoreError) -> [StreamPiece] {
    let call = try await started()
    var pieces: [StreamPiece] = []
    var position = state.withLock { $0.position }
    while position < part.upperBound {
      var (rest, length) = state.withLock { ($0.rest, $0.restLength) }
      if length == 0 { (rest, length) = try await receive(call) }
      guard var data = rest else { throw .offline("the stream was ended") }
      let isBefore = position < part.lowerBound
      let count = min(length, (isBefore ? part.lowerBound : part.upperBound) - position)
      let begin = data
      try server.decoded { () throws(FormatError) in try data.skip(count) }
      if !isBefore { pieces.append((begin, count)) }
      let left = data
      state.withLock { state in
        guard !state.isFailed else { return }
        if isBefore { state.kept.add(begin, from: position, count: count) }
        state.position = position + count
        state.rest = length > count ? left : nil
        state.restLength = length - count
      }
      position += count
    }
    return pieces
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
    return try server.decoded { () throws(FormatError) in try opened(received, of: call) }
  }

  /// What a message holds, at least a byte; the next one comes meanwhile.
  private func opened(
    _ received: ReceivedMessage, of call: ClientCall
  ) throws(FormatError) -> (MessageReader?, Int) {
    // The server sends it: of what nobody waits for, the connection takes 64 KiB.
    call.receiveAhead()
    let message = try GetMessage(received)
    guard message.dataLength > 0 else { throw FormatError("an answer without data") }
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
    request.messageLength = messageLength
    request.isWithoutTrailer = true
    server.counters.sent()
    _ = await call.start(OutgoingMessage(request.encoded), isLast: true)
    return call
  }
}
