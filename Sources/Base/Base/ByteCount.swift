/// Sizes in bytes by their binary names.
public enum ByteCount {
  /// 1024 bytes.
  public static let kibibyte = 1 << 10
  /// 1024 KiB.
  public static let mebibyte = 1 << 20
  /// 1024 MiB.
  public static let gibibyte = 1 << 30
  /// 1024 GiB.
  public static let tebibyte = 1 << 40

  /// A multiple of `alignment` that is at least `count`.
  ///
  /// Precondition: both are not negative, `alignment` is positive and the result fits an `Int`.
  public static func roundUp(_ count: Int, to alignment: Int) -> Int {
    (count + alignment - 1) / alignment * alignment
  }
}
