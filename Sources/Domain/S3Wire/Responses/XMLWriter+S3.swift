internal import Base
internal import Checksums
internal import XML

extension XMLWriter {
  /// Appends `<name xmlns="…">` with the namespace of S3.
  mutating func openS3(_ name: StaticString) {
    open(name, namespace: "http://s3.amazonaws.com/doc/2006-03-01/")
  }

  /// Appends an element with a key, prefix, marker or delimiter, percent-encoded where the client
  /// asked for that.
  @inline(__always)
  mutating func key(_ name: StaticString, _ bytes: [UInt8], isURLEncoded: Bool) {
    open(name)
    if isURLEncoded {
      percentEncoded(bytes)
    } else {
      text(bytes: bytes)
    }
    close(name)
  }

  /// Appends an element with a tag in quotes.
  @inline(__always)
  mutating func etag(_ etag: String) {
    raw("<ETag>&quot;")
    text(etag)
    raw("&quot;</ETag>")
  }

  /// Appends an element with a moment in the form of S3's lists: whole seconds, `.000Z`.
  mutating func time(_ name: StaticString, _ time: Timestamp) {
    open(name)
    let seconds = Int(time.seconds)
    let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let (year, month, dayOfMonth) = Self.civil(day)
    digits(year, 4)
    raw("-")
    digits(month, 2)
    raw("-")
    digits(dayOfMonth, 2)
    raw("T")
    let rest = seconds - day * 86_400
    digits(rest / 3600, 2)
    raw(":")
    digits(rest / 60 % 60, 2)
    raw(":")
    digits(rest % 60, 2)
    raw(".000Z")
    close(name)
  }

  /// Appends an owner or initiator.
  mutating func owner(_ name: StaticString, _ owner: S3Owner) {
    open(name)
    element("ID", owner.id)
    element("DisplayName", owner.displayName)
    close(name)
  }

  /// Appends the element of a checksum's value.
  mutating func checksum(_ checksum: Checksum?) {
    guard let checksum else { return }
    element(named: checksum.algorithm.elementName, checksum.description)
  }

  /// Appends `ChecksumAlgorithm` and `ChecksumType`.
  mutating func checksumKind(_ kind: ChecksumKind?) {
    guard let kind else { return }
    element("ChecksumAlgorithm", kind.algorithm.name)
    element("ChecksumType", kind.type.rawValue)
  }

  private mutating func percentEncoded(_ bytes: [UInt8]) {
    for byte in bytes {
      if PercentCoding.isUnreserved(byte) || byte == UInt8(ascii: "/") {
        raw(byte: byte)
      } else {
        raw(byte: UInt8(ascii: "%"))
        raw(byte: Self.digit(byte >> 4))
        raw(byte: Self.digit(byte & 15))
      }
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x41 + value - 10
  }

  /// Appends the last `count` decimal digits of a number that is not negative.
  private mutating func digits(_ value: Int, _ count: Int) {
    var divisor = 1
    for _ in 1..<count { divisor *= 10 }
    while divisor > 0 {
      raw(byte: 0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
      divisor /= 10
    }
  }

  /// The Gregorian date of a day counted from 1970-01-01, years before 1 shown as year 1.
  private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
    // Days are counted from 0000-03-01 in eras of 400 years, so that a leap day ends a year.
    let shifted = max(day + 719_468, 306)
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
      dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    )
  }
}
