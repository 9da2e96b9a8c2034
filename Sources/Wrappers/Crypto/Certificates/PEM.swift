import Base

/// The text form of keys and certificates (RFC 7468).
public enum PEM {
  /// What a block holds.
  public enum Label: String, Sendable {
    /// A certificate.
    case certificate = "CERTIFICATE"
    /// A certificate request (PKCS #10).
    case request = "CERTIFICATE REQUEST"
    /// A private key (PKCS #8), not encrypted.
    case privateKey = "PRIVATE KEY"
  }

  /// Blocks of a text at most.
  public static let maximumBlockCount = 16
  /// Bytes of a text at most.
  public static let maximumByteCount = 128 << 10

  /// One block, lines of 64 characters, with a line feed at its end.
  public static func encode(_ label: Label, _ bytes: [UInt8]) -> String {
    var text = "-----BEGIN \(label.rawValue)-----\n"
    var rest = Substring(Base64.encode(bytes))
    while !rest.isEmpty {
      text += rest.prefix(64) + "\n"
      rest = rest.dropFirst(64)
    }
    return text + "-----END \(label.rawValue)-----\n"
  }

  /// The blocks of a text, all of one label, in order; blank lines around them are skipped.
  ///
  /// Throws for anything else between or inside them, for none, and above the limits.
  public static func decode(_ label: Label, _ text: String) throws(CertificateError) -> [[UInt8]] {
    guard text.utf8.count <= maximumByteCount else { throw .malformed("a PEM text is too long") }
    var blocks: [[UInt8]] = []
    var body: String?
    for line in text.split(whereSeparator: \.isNewline) {
      if let inside = body {
        if line == "-----END \(label.rawValue)-----" {
          guard let bytes = Base64.decode(inside), !bytes.isEmpty else {
            throw .malformed("a PEM block is not Base64")
          }
          guard blocks.count < maximumBlockCount else { throw .malformed("too many PEM blocks") }
          blocks.append(bytes)
          body = nil
        } else {
          body = inside + line
        }
      } else if line == "-----BEGIN \(label.rawValue)-----" {
        body = ""
      } else if !line.allSatisfy({ $0 == " " || $0 == "\t" }) {
        throw .malformed("a PEM text holds something else than \(label.rawValue)")
      }
    }
    guard body == nil, !blocks.isEmpty else {
      throw .malformed("a PEM text without a whole \(label.rawValue)")
    }
    return blocks
  }
}
