/// What names and keys may look like.
public enum AccessKeyRules {
  /// Whether a text can be an access key id at all: 3 to 128 characters of `[A-Za-z0-9._-]`.
  public static func isPlausible(_ id: String) -> Bool {
    (3...128).contains(id.utf8.count) && id.utf8.allSatisfy(isNameByte)
  }

  /// Throws unless a given access key id and secret may be used.
  static func check(id: String, secret: String) throws(AccessError) {
    guard isPlausible(id) else {
      throw .invalidInput("an access key has 3 to 128 letters, digits, dots, dashes, underscores")
    }
    guard (8...128).contains(secret.utf8.count), secret.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
    else { throw .invalidInput("a secret key has 8 to 128 printable ASCII characters") }
  }

  /// Throws unless a user may have that name: 1 to 64 characters of `[A-Za-z0-9._@-]`.
  static func check(userName: String) throws(AccessError) {
    guard (1...64).contains(userName.utf8.count),
      userName.utf8.allSatisfy({ isNameByte($0) || $0 == UInt8(ascii: "@") })
    else {
      throw .invalidInput(
        "a user name has 1 to 64 letters, digits, dots, dashes, underscores and @")
    }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "-"),
      UInt8(ascii: "_"):
      true
    default: false
    }
  }
}
