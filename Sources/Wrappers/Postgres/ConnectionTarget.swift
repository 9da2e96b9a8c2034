import CPostgres

/// Where a database is and as whom to connect: a URL or a `key=value` string, as `libpq` reads it
/// (<https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>).
///
/// Its description shows no password.
public struct ConnectionTarget: Sendable, CustomStringConvertible {
  /// Settings that the session begins with, sent in the start-up packet.
  public var sessionSettings: [(name: String, value: String)] = []
  /// The name that the server shows for the session.
  public var applicationName = "s3storage"

  let text: String
  let secrets: [String]
  private let ownOptions: String
  /// Host and database, for people.
  public let description: String

  /// Checks the text; the error repeats nothing of it, since there may be a password in it.
  public init(_ text: String) throws(PostgresError) {
    guard !text.utf8.contains(0) else { throw .invalidURL }
    var message: UnsafeMutablePointer<CChar>?
    let parsed = unsafe PQconninfoParse(text, &message)
    unsafe PQfreemem(message)
    guard let options = unsafe parsed else { throw .invalidURL }
    defer { unsafe PQconninfoFree(options) }
    var values: [String: String] = [:]
    var option = unsafe options
    while let keyword = unsafe option.pointee.keyword {
      if let value = unsafe option.pointee.val {
        unsafe values[String(cString: keyword)] = unsafe String(cString: value)
      }
      unsafe option += 1
    }
    self.text = text
    secrets = ["password", "sslpassword"].compactMap { values[$0] }.filter { !$0.isEmpty }
    ownOptions = values["options"] ?? ""
    description =
      (values["host"] ?? values["hostaddr"] ?? "localhost") + "/" + (values["dbname"] ?? "")
  }

  /// The text without the passwords of this target, and of bounded length.
  func redact(_ message: String) -> String {
    var result = message
    for secret in secrets {
      var cleaned = ""
      var rest = result[...]
      while let found = rest.firstRange(of: secret) {
        cleaned += rest[..<found.lowerBound] + "…"
        rest = rest[found.upperBound...]
      }
      result = cleaned + rest
    }
    let line = result.split(whereSeparator: \.isNewline).joined(separator: "; ")
    return String(line.prefix(300))
  }

  /// The value of the `options` keyword: what the text has, then `-c name=value`, with spaces and
  /// backslashes escaped.
  var options: String {
    ([ownOptions]
      + sessionSettings.map { setting in
        var value = ""
        for character in setting.value {
          if character == " " || character == "\\" { value.append("\\") }
          value.append(character)
        }
        return "-c \(setting.name)=\(value)"
      }).joined(separator: " ")
  }
}
