/// The way from certain blocks of a stripe to certain others. Immutable, usable from any thread.
public struct Reconstruction: Sendable {
  /// The blocks that go in, in this order.
  public let sources: [Int]
  /// The blocks that come out, in this order.
  public let wanted: [Int]

  let tables: GaloisTables

  /// Makes the wanted blocks of one stripe from its source blocks.
  ///
  /// The memory of all blocks stays valid, and the sources unchanged, until the call returns;
  /// targets overlap nothing. Throws `mismatchedBlocks` unless there is one block for each of
  /// `sources` and `wanted`, all of one length.
  public func reconstruct(
    from blocks: [UnsafeRawBufferPointer], into targets: [UnsafeMutableRawBufferPointer]
  ) throws(ErasureError) {
    try unsafe tables.apply(blocks, to: targets)
  }

  /// Makes the wanted blocks of one stripe from its source blocks.
  ///
  /// Throws `mismatchedBlocks` unless there is one block for each of `sources`, all of one length.
  public func reconstruct(from blocks: [[UInt8]]) throws(ErasureError) -> [[UInt8]] {
    try tables.apply(blocks)
  }
}

extension GaloisTables {
  /// Computes every output block from the input blocks.
  func apply(_ inputs: [[UInt8]]) throws(ErasureError) -> [[UInt8]] {
    let length = inputs.first?.count ?? 0
    guard inputs.allSatisfy({ $0.count == length }) else { throw .mismatchedBlocks }
    let joined = inputs.flatMap { $0 }
    var result = [UInt8](repeating: 0, count: rows * length)
    let failure: ErasureError? = unsafe joined.withUnsafeBytes { joined in
      unsafe result.withUnsafeMutableBytes { result in
        do throws(ErasureError) {
          try unsafe apply(
            inputs.indices.map { index in
              unsafe UnsafeRawBufferPointer(
                rebasing: joined[index * length..<(index + 1) * length])
            },
            to: (0..<rows).map { index in
              unsafe UnsafeMutableRawBufferPointer(
                rebasing: result[index * length..<(index + 1) * length])
            })
          return nil
        } catch {
          return error
        }
      }
    }
    if let failure { throw failure }
    return (0..<rows).map { Array(result[$0 * length..<($0 + 1) * length]) }
  }
}
