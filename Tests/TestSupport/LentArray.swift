public import ChunkStore

/// Bytes that are lent in runs of an odd length.
public struct LentArray: LentBytes {
  private let bytes: [UInt8]
  private let runLength: Int

  /// Lends `bytes`, in runs of `runLength` bytes but for the last.
  public init(_ bytes: [UInt8], runLength: Int = 8191) {
    self.bytes = bytes
    self.runLength = runLength
  }

  /// How many there are.
  public var count: Int { bytes.count }

  /// Lends a range of them.
  public func withRuns<Result, Failure: Error>(
    _ range: Range<Int>, _ body: ([UnsafeRawBufferPointer]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe bytes.span.withUnsafeBytes { all throws(Failure) in
      var runs: [UnsafeRawBufferPointer] = unsafe []
      for start in stride(from: 0, to: all.count, by: runLength) {
        let part = (start..<min(start + runLength, all.count)).clamped(to: range)
        guard !part.isEmpty else { continue }
        unsafe runs.append(UnsafeRawBufferPointer(rebasing: all[part]))
      }
      return try unsafe body(runs)
    }
  }
}
