import Glibc

/// Text for the person who started the process.
enum Terminal {
  /// Writes to standard output.
  static func out(_ text: String) { write(text, to: 1) }

  /// Writes to standard error.
  static func err(_ text: String) { write(text, to: 2) }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[done...].withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count <= 0 { return }
      done += count
    }
  }
}
