import ObjectEngine
import Runtime
import Synchronization
import Telemetry

/// Copies that are to be made up.
extension ChangeJournal {
  static func keep(_ piece: ShortPiece, _ state: inout State) {
    if state.short.count < shortLimit {
      state.short.append(piece)
    } else {
      state.hasForgottenShort = true
    }
  }

  /// Whether pieces with too few copies were not kept one by one; asking forgets it.
  func takeForgottenShort() -> Bool {
    state.withLock { state in
      defer { state.hasForgottenShort = false }
      return state.hasForgottenShort
    }
  }

  /// Remembers pieces that were found in fewer stores than wanted.
  func keepShort(_ pieces: [ShortPiece]) {
    state.withLock { state in
      let known = Set(state.short.map(\.chunk))
      for piece in pieces where !known.contains(piece.chunk) { Self.keep(piece, &state) }
    }
  }

  /// Makes up copies of up to `limit` pieces that have too few, oldest first, as far as stores take
  /// them now; returns whether there are more for which that may succeed.
  func makeUpCopies(limit: Int) async -> Bool {
    let (pieces, all) = state.withLock { (Array($0.short.prefix(limit)), $0.short.count) }
    guard !pieces.isEmpty else { return false }
    let completer = LogCompleter(engine: engine, logStores: logStores, copies: wanted)
    let left = await withTaskExecutorPreference(engine.pool) { await completer.complete(pieces) }
    // Others are added at the end only; what did not get on lets those behind it have a turn.
    let wanted = wanted
    state.withLock { state in
      state.short.removeFirst(pieces.count)
      state.short += left
      if state.short.isEmpty, !state.hasForgottenShort {
        state.status.lastCopies = wanted
        state.status.lastError = nil
      }
    }
    if left.count < pieces.count {
      log.info(
        "copies of the change log were made up",
        [
          ("pieces", "\(pieces.count - left.count)"),
          ("left", "\(all - pieces.count + left.count)"),
        ])
    }
    return left.isEmpty && all > pieces.count
  }
}
