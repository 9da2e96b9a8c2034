public import Runtime

/// Verified bytes of a chunk in the memory that they came to, which lives as long as this does.
public protocol LentBytes: Sendable {
  /// How many there are.
  var count: Int { get }

  /// Lends the bytes `range` in the runs that they lie in, in their order, until `body` returns.
  ///
  /// Precondition: `range` is not negative and ends at `count` or before.
  func withRuns<Result, Failure: Error>(
    _ range: Range<Int>, _ body: ([UnsafeRawBufferPointer]) throws(Failure) -> Result
  ) throws(Failure) -> Result
}

extension LentBytes {
  /// Copies all of them to `offset` of `buffer`. Precondition: they fit.
  public func copy(to buffer: AlignedBuffer, at offset: Int) {
    unsafe withRuns(0..<count) { runs in
      var target = offset
      for index in unsafe runs.indices {
        let run = unsafe runs[index]
        unsafe buffer.withMutableBytes(target..<target + run.count) { bytes in
          unsafe bytes.copyMemory(from: run)
        }
        target += run.count
      }
    }
  }
}
