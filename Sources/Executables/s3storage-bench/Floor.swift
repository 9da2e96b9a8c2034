import Glibc
import Runtime

/// What one kind of work costs.
struct Floor {
  /// The name in the output.
  var name: String
  /// User and system time for each GiB.
  var processorSeconds: Double
  /// MiB in a second of wall-clock time.
  var rate: Double

  /// Measures `work`, which handles `byteCount` bytes: the median of three runs.
  static func measure<E: Error>(
    _ name: String, byteCount: Int, _ work: () throws(E) -> Void
  ) throws(E) -> Floor {
    var runs: [(cpu: Double, wall: Double)] = []
    for _ in 0..<3 {
      let cpu = processorTime()
      let wall = MonotonicTime.nanoseconds
      try work()
      runs.append((processorTime() - cpu, Double(MonotonicTime.nanoseconds - wall) / 1e9))
    }
    let gibibytes = Double(byteCount) / Double(1 << 30)
    let cpu = runs.map(\.cpu).sorted()[1]
    let wall = runs.map(\.wall).sorted()[1]
    return Floor(
      name: name, processorSeconds: cpu / gibibytes, rate: gibibytes * 1024 / max(wall, 1e-9))
  }

  /// User and system time of this process in seconds.
  static func processorTime() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
