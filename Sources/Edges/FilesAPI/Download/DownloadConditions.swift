import Base
import HTTPServer

/// The conditions of a GET or HEAD (RFC 9110 §13).
struct DownloadConditions {
  enum Outcome: Hashable {
    case proceed, notModified, preconditionFailed
  }

  private let fields: HTTPFields

  init(_ fields: HTTPFields) {
    self.fields = fields
  }

  /// Evaluates against a file that exists, in the order of RFC 9110 §13.2.2. `etag` has its
  /// quotes.
  func evaluate(etag: String, lastModified: Timestamp) -> Outcome {
    if let tags = tags("if-match") {
      if !tags.contains(where: { $0 == "*" || $0 == etag }) { return .preconditionFailed }
    } else if let date = date("if-unmodified-since"), lastModified.seconds > date.seconds {
      return .preconditionFailed
    }
    if let tags = tags("if-none-match") {
      let isKnown = tags.contains { $0 == "*" || $0 == etag || $0 == "W/" + etag }
      if isKnown { return .notModified }
    } else if let date = date("if-modified-since"), lastModified.seconds <= date.seconds {
      return .notModified
    }
    return .proceed
  }

  /// Whether a Range header counts: there is no If-Range, or it names this very content.
  func allowsRange(etag: String, lastModified: Timestamp) -> Bool {
    guard let value = fields.text(of: "if-range") else { return true }
    if value == etag { return true }
    return Timestamp(httpDate: value).map { $0.seconds == lastModified.seconds } ?? false
  }

  private func tags(_ name: String) -> [Substring]? {
    let values = fields.values(of: name)
    guard !values.isEmpty else { return nil }
    // Tags of this API hold no commas, so that one of another form may fall apart.
    return values.flatMap { value in
      String(decoding: value, as: UTF8.self).split(separator: ",").map(Self.trimmed)
    }
  }

  private func date(_ name: String) -> Timestamp? {
    guard let value = fields.value(of: name), value.count <= 64 else { return nil }
    return Timestamp(httpDate: String(decoding: value, as: UTF8.self))
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
