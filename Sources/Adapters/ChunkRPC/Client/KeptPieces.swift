internal import Base
internal import GRPC

/// So many bytes of a message, from where `data` stands on.
typealias StreamPiece = (data: MessageReader, count: Int)

/// Data of a stream that came before somebody read it, in the messages that brought it.
struct KeptPieces {
  private struct Piece {
    var range: Range<Int>
    /// Stands at the first byte of the range.
    var data: MessageReader
  }

  private var pieces: [Piece] = []

  /// Keeps `count` bytes of the chunk from `start` on, where `data` stands. Precondition: they lie
  /// behind everything that was kept before.
  mutating func add(_ data: MessageReader, from start: Int, count: Int) {
    guard count > 0 else { return }
    pieces.append(Piece(range: start..<start + count, data: data))
  }

  /// Gives away what is kept of `range`, in its order; throws when that is not all of it.
  mutating func take(
    _ range: Range<Int>
  ) throws(FormatError) -> [StreamPiece] {
    var taken: [StreamPiece] = []
    var left: [Piece] = []
    for piece in pieces {
      let common = piece.range.clamped(to: range)
      guard !common.isEmpty else {
        left.append(piece)
        continue
      }
      var data = piece.data
      if piece.range.lowerBound < common.lowerBound {
        left.append(Piece(range: piece.range.lowerBound..<common.lowerBound, data: data))
        try data.skip(common.lowerBound - piece.range.lowerBound)
      }
      taken.append((data, common.count))
      if common.upperBound < piece.range.upperBound {
        try data.skip(common.count)
        left.append(Piece(range: common.upperBound..<piece.range.upperBound, data: data))
      }
    }
    pieces = left
    guard taken.reduce(0, { $0 + $1.count }) == range.count else {
      throw FormatError("data that nobody kept")
    }
    return taken
  }
}
