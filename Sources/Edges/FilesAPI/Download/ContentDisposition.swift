import Base

/// The Content-Disposition of a download (RFC 6266).
enum ContentDisposition {
  /// `attachment` with the name twice: in ASCII for old clients, and as UTF-8.
  ///
  /// Whatever the name holds, the value is printable ASCII and nothing ends its quoted text early.
  static func attachment(_ name: String) -> String {
    let plain = name.unicodeScalars.map { scalar -> Character in
      let isSafe =
        (0x20..<0x7f).contains(scalar.value) && scalar != "\"" && scalar != "\\" && scalar != "%"
      return isSafe ? Character(scalar) : "_"
    }
    return "attachment; filename=\"\(String(plain))\"; filename*=UTF-8''"
      + PercentCoding.encode(name)
  }
}
