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

  private mutating func head(_ name: String, _ help: String, _ type: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
  }
}
