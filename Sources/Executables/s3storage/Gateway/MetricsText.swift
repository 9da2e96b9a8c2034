import Disk
import Synchronization

/// Counters and gauges as Prometheus reads them (text format 0.0.4).
struct MetricsText {
  private(set) var text = ""

  mutating func counter(_ name: String, _ help: String, _ value: Int) {
    head(name, help, "counter")
    text += "\(name) \(value)\n"
  }

  mutating func gauge(_ name: String, _ help: String, _ value: Int) {
    head(name, help, "gauge")
    text += "\(name) \(value)\n"
  }

  /// A gauge for each set of labels, such as `store="…"`; the values are the installation's own.
  mutating func gauges(_ name: String, _ help: String, _ values: [(labels: String, value: Int)]) {
    head(name, help, "gauge")
    add(name, values)
  }

  /// A counter for each set of labels.
  mutating func counters(
    _ name: String, _ help: String, _ values: [(labels: String, value: Int)]
  ) {
    head(name, help, "counter")
    add(name, values)
  }

  private mutating func add(_ name: String, _ values: [(labels: String, value: Int)]) {
    for (labels, value) in values { text += "\(name){\(labels)} \(value)\n" }
  }

  /// What this process did to the disks of its stores.
  mutating func addDiskCounters() {
    counter(
      "s3storage_disk_sync_total", "Sync calls for data and directories of stores.",
      DiskStatistics.dataSyncs.load(ordering: .relaxed)
        + DiskStatistics.directorySyncs.load(ordering: .relaxed))
    counter(
      "s3storage_disk_written_bytes_total", "Bytes written to stores.",
      DiskStatistics.bytesWritten.load(ordering: .relaxed))
    counter(
      "s3storage_disk_read_bytes_total", "Bytes read from stores.",
      DiskStatistics.bytesRead.load(ordering: .relaxed))
  }

  private mutating func head(_ name: String, _ help: String, _ type: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }
}
