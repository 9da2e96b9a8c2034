extension Duration {
  /// Whole milliseconds, rounded down, within what a timestamp can hold.
  var wholeMilliseconds: Int64 {
    let limit: Int64 = 1 << 50
    let seconds = min(max(components.seconds, -limit / 1000), limit / 1000)
    return seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
