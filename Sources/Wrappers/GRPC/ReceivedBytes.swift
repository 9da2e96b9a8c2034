public import Base

/// Bytes out of one message or several, where the library has put them: the messages live as long.
@safe
public struct ReceivedBytes: @unchecked Sendable {
  private let messages: [MessageReader]
  private let runs: [UnsafeRawBufferPointer]

  /// How many there are.
  public let count: Int

  /// The next `count` bytes of each of the readers; throws when one has fewer.
  public init(_ parts: [(data: MessageReader, count: Int)]) throws(FormatError) {
    var runs: [UnsafeRawBufferPointer] = unsafe []
    for part in parts {
      var reader = part.data
      unsafe runs += try reader.runs(part.count)
    }
    messages = parts.map(\.data)
    count = parts.reduce(0) { $0 + $1.count }
    unsafe self.runs = runs
  }

  /// Lends the bytes `range` in the runs that they lie in, in their order, until `body` returns.
  ///
  /// Precondition: `range` is not negative and ends at `count` or before.
  public func withRuns<Result, Failure: Error>(
    _ range: Range<Int>, _ body: ([UnsafeRawBufferPointer]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "no bytes of these")
    var found: [UnsafeRawBufferPointer] = unsafe []
    var start = 0
    for index in unsafe runs.indices {
      let run = unsafe runs[index]
      let common = (start..<start + run.count).clamped(to: range)
      if !common.isEmpty {
        unsafe found.append(
          UnsafeRawBufferPointer(
            rebasing: run[common.lowerBound - start..<common.upperBound - start]))
      }
      start += run.count
    }
    defer { withExtendedLifetime(messages) {} }
    return try unsafe body(found)
  }
}
