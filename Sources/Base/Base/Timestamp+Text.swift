extension Timestamp {
  private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// IMF-fixdate (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
  public var httpDate: String {
    let time = CivilTime(seconds: seconds)
    return "\(Self.weekdays[time.weekday]), \(Self.two(time.day)) \(Self.months[time.month - 1]) "
      + "\(Self.four(time.year)) \(Self.clock(time)) GMT"
  }

  /// ISO 8601 with milliseconds, such as `2026-01-02T03:04:05.678Z`.
  public var iso8601: String {
    let time = CivilTime(seconds: seconds)
    let fraction = Int(milliseconds - seconds * 1000)
    let padding = fraction < 10 ? "00" : fraction < 100 ? "0" : ""
    return "\(Self.four(time.year))-\(Self.two(time.month))-\(Self.two(time.day))T"
      + "\(Self.clock(time)).\(padding)\(fraction)Z"
  }

  /// ISO 8601 basic format without fractions, such as `20260102T030405Z`: what SigV4 signs.
  public var basicISO8601: String {
    let time = CivilTime(seconds: seconds)
    return "\(basicDate)T\(Self.two(time.hour))\(Self.two(time.minute))\(Self.two(time.second))Z"
  }

  /// The date of `basicISO8601`, such as `20260102`.
  public var basicDate: String {
    let time = CivilTime(seconds: seconds)
    return "\(Self.four(time.year))\(Self.two(time.month))\(Self.two(time.day))"
  }

  /// Parses IMF-fixdate and the two obsolete forms that RFC 9110 §5.6.7 wants accepted.
  public init?(httpDate text: String) {
    let parts = text.split { $0 == " " || $0 == "," || $0 == "-" || $0 == "\t" }
    guard parts.count == 5 || parts.count == 6 else { return nil }
    // asctime: Sun Nov  6 08:49:37 1994
    let isAsctime = parts.count == 5
    if !isAsctime { guard parts[5] == "GMT" || parts[5] == "UTC" else { return nil } }
    let dayText = isAsctime ? parts[2] : parts[1]
    let monthText = isAsctime ? parts[1] : parts[2]
    let yearText = isAsctime ? parts[4] : parts[3]
    let clock = (isAsctime ? parts[3] : parts[4]).split(separator: ":")
    guard let month = Self.months.firstIndex(where: { $0 == monthText }), clock.count == 3,
      let day = Self.number(dayText), var year = Self.number(yearText),
      let hour = Self.number(clock[0]), let minute = Self.number(clock[1]),
      let second = Self.number(clock[2])
    else { return nil }
    if yearText.utf8.count == 2 { year += year < 70 ? 2000 : 1900 }
    guard
      let seconds = CivilTime.seconds(
        year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second)
    else { return nil }
    self.init(seconds: seconds)
  }

  /// Parses `20260102T030405Z`.
  public init?(basicISO8601 text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count == 16, bytes[8] == 0x54, bytes[15] == 0x5a else { return nil }
    self.init(digits: bytes, fields: [0..<4, 4..<6, 6..<8, 9..<11, 11..<13, 13..<15])
  }

  /// Parses `2026-01-02T03:04:05Z` and `2026-01-02T03:04:05.678Z`, and the same with a date only.
  public init?(iso8601 text: String) {
    var bytes = Array(text.utf8)
    if bytes.count == 10 { bytes += Array("T00:00:00Z".utf8) }
    guard bytes.count >= 20, bytes[4] == 0x2d, bytes[7] == 0x2d, bytes[10] == 0x54,
      bytes[13] == 0x3a, bytes[16] == 0x3a, bytes.last == 0x5a
    else { return nil }
    self.init(digits: bytes, fields: [0..<4, 5..<7, 8..<10, 11..<13, 14..<16, 17..<19])
    let fraction = bytes[19..<bytes.count - 1]
    if fraction.isEmpty { return }
    guard fraction.first == 0x2e, (2...10).contains(fraction.count) else { return nil }
    var scale: Int64 = 100
    for digit in fraction.dropFirst() {
      guard (0x30...0x39).contains(digit) else { return nil }
      milliseconds += Int64(digit - 0x30) * scale
      scale /= 10
    }
  }

  private init?(digits bytes: [UInt8], fields: [Range<Int>]) {
    var values: [Int] = []
    for field in fields {
      var value = 0
      for byte in bytes[field] {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int(byte - 0x30)
      }
      values.append(value)
    }
    guard
      let seconds = CivilTime.seconds(
        year: values[0], month: values[1], day: values[2], hour: values[3], minute: values[4],
        second: values[5])
    else { return nil }
    self.init(seconds: seconds)
  }

  private static func number(_ text: Substring) -> Int? {
    guard text.utf8.count <= 4, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    return Int(text)
  }

  private static func clock(_ time: CivilTime) -> String {
    "\(two(time.hour)):\(two(time.minute)):\(two(time.second))"
  }

  private static func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

  private static func four(_ value: Int) -> String {
    let text = "\(value)"
    return String(repeating: "0", count: max(0, 4 - text.utf8.count)) + text
  }
}
