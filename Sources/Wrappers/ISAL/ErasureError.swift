/// Why blocks cannot be made again.
public enum ErasureError: Error, Hashable, Sendable {
  /// Fewer than `required` distinct blocks are there.
  case tooFewBlocks(available: Int, required: Int)
  /// A block number outside the scheme, or one that is given twice.
  case invalidBlock(Int)
  /// Blocks of one stripe that differ in length, or the wrong number of them.
  case mismatchedBlocks
}
