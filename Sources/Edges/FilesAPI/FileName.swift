/// The rules of file names.
enum FileName {
  /// The longest name in bytes of UTF-8.
  static let maximumBytes = 255

  /// The name that an upload gives: without the path that some clients send along.
  ///
  /// Throws for anything but 1 to 255 bytes without control characters, `.` and `..` excluded.
  static func validated(_ sent: String) throws(FormError) -> String {
    let base =
      sent.unicodeScalars.split(omittingEmptySubsequences: false) {
        $0 == "/" || $0 == "\\"
      }.last ?? Substring.UnicodeScalarView()
    let name = String(base)
    guard (1...maximumBytes).contains(name.utf8.count) else {
      throw FormError("a file name has 1 to \(maximumBytes) bytes")
    }
    guard name != ".", name != ".." else { throw FormError("a file name is not . or ..") }
    guard name.unicodeScalars.allSatisfy({ !isControl($0) }) else {
      throw FormError("a file name has no control characters")
    }
    return name
  }

  /// C0, DEL, C1, and the line and paragraph separators.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
      || scalar.value == 0x2028 || scalar.value == 0x2029
  }
}
