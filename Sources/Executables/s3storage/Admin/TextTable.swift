/// Lines of columns for people.
enum TextTable {
  /// A head and rows with columns as wide as their longest cell; control characters are dropped.
  static func make(_ head: [String], _ rows: [[String]]) -> String {
    let all = ([head] + rows).map { row in
      row.map { cell in
        String(cell.unicodeScalars.filter { $0.value >= 0x20 && !(0x7f...0x9f ~= $0.value) })
      }
    }
    let widths = head.indices.map { column in
      all.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
    }
    return all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        line += cell
        if column < row.count - 1, widths.indices.contains(column) {
          line += String(repeating: " ", count: widths[column] - cell.count + 2)
        }
      }
      return line + "\n"
    }.joined()
  }

  /// A number of bytes with a unit, such as `1.5 GiB`.
  static func bytes(_ count: Int64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    var value = count
    var rest: Int64 = 0
    var unit = 0
    while value >= 1024, unit < units.count - 1 {
      rest = value % 1024
      value /= 1024
      unit += 1
    }
    return unit == 0 ? "\(value) B" : "\(value).\(rest * 10 / 1024) \(units[unit])"
  }
}
