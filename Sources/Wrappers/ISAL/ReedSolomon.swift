internal import CISAL

/// A systematic Reed–Solomon code over GF(2⁸) with a Cauchy matrix: of `dataCount + parityCount`
/// blocks, any `dataCount` give back all.
///
/// The matrix is part of format 1: row r, column c of the parity is the inverse of
/// `(dataCount + r) xor c` in the field of polynomial 0x11d. Immutable, usable from any thread.
public struct ReedSolomon: Sendable {
  /// Data blocks of a stripe.
  public let dataCount: Int
  /// Parity blocks of a stripe.
  public let parityCount: Int

  private let matrix: [UInt8]
  private let parityTables: GaloisTables

  /// Data and parity blocks of a stripe.
  public var blockCount: Int { dataCount + parityCount }

  /// Sets up a scheme.
  ///
  /// Precondition: `dataCount` is at least 1, `parityCount` at least 0, and both together at most
  /// 255.
  public init(dataCount: Int, parityCount: Int) {
    precondition(dataCount >= 1 && parityCount >= 0, "a stripe has data")
    precondition(dataCount + parityCount <= 255, "a stripe has at most 255 blocks")
    self.dataCount = dataCount
    self.parityCount = parityCount
    var matrix = [UInt8](repeating: 0, count: (dataCount + parityCount) * dataCount)
    unsafe matrix.withUnsafeMutableBufferPointer { matrix in
      unsafe gf_gen_cauchy1_matrix(
        matrix.baseAddress, Int32(dataCount + parityCount), Int32(dataCount))
    }
    self.matrix = matrix
    parityTables = GaloisTables(
      columns: dataCount, rows: parityCount,
      coefficients: Array(matrix[(dataCount * dataCount)...]))
  }

  /// Computes the parity blocks of a stripe.
  ///
  /// The memory of all blocks stays valid, and the data unchanged, until the call returns; parity
  /// overlaps nothing. Throws `mismatchedBlocks` unless there are `dataCount` and `parityCount`
  /// blocks of one length.
  public func encode(
    data: [UnsafeRawBufferPointer], parity: [UnsafeMutableRawBufferPointer]
  ) throws(ErasureError) {
    try unsafe parityTables.apply(data, to: parity)
  }

  /// Computes the parity blocks of a stripe.
  ///
  /// Throws `mismatchedBlocks` unless there are `dataCount` blocks of one length.
  public func parity(of data: [[UInt8]]) throws(ErasureError) -> [[UInt8]] {
    try parityTables.apply(data)
  }

  /// Prepares to make the `wanted` blocks from `available` ones: serves every stripe with the same
  /// blocks missing.
  ///
  /// The first `dataCount` entries of `available` are used, so give the preferred ones first.
  /// Throws when there are too few, or a number is outside the scheme or double in its list.
  public func reconstruction(
    available: [Int], wanted: [Int]
  ) throws(ErasureError) -> Reconstruction {
    for list in [available, wanted] {
      var seen = Set<Int>()
      for index in list where !(0..<blockCount).contains(index) || !seen.insert(index).inserted {
        throw .invalidBlock(index)
      }
    }
    guard available.count >= dataCount else {
      throw .tooFewBlocks(available: available.count, required: dataCount)
    }
    let sources = Array(available.prefix(dataCount))
    let inverse = invert(rows: sources)
    var coefficients: [UInt8] = []
    for block in wanted {
      for column in 0..<dataCount {
        var sum: UInt8 = 0
        for inner in 0..<dataCount {
          sum ^= gf_mul(matrix[block * dataCount + inner], inverse[inner * dataCount + column])
        }
        coefficients.append(sum)
      }
    }
    return Reconstruction(
      sources: sources, wanted: wanted,
      tables: GaloisTables(columns: dataCount, rows: wanted.count, coefficients: coefficients))
  }

  /// The matrix that makes data out of these blocks. Any `dataCount` rows of a Cauchy matrix below
  /// an identity are independent, hence it exists.
  private func invert(rows: [Int]) -> [UInt8] {
    var selected: [UInt8] = []
    for row in rows { selected += matrix[row * dataCount..<(row + 1) * dataCount] }
    var inverse = [UInt8](repeating: 0, count: dataCount * dataCount)
    let status = unsafe selected.withUnsafeMutableBufferPointer { selected in
      unsafe inverse.withUnsafeMutableBufferPointer { inverse in
        unsafe gf_invert_matrix(selected.baseAddress, inverse.baseAddress, Int32(dataCount))
      }
    }
    precondition(status == 0, "rows of an MDS code are independent")
    return inverse
  }
}
