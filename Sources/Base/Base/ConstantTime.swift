/// Comparison of secrets.
public enum ConstantTime {
  /// Whether two runs are the same, in a time that depends on their lengths only.
  ///
  /// Every comparison of a secret, a signature or a token goes through here.
  public static func equals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
  }

  /// Whether two strings have the same UTF-8, in a time that depends on their lengths only.
  public static func equals(_ left: String, _ right: String) -> Bool {
    equals(Array(left.utf8), Array(right.utf8))
  }
}
