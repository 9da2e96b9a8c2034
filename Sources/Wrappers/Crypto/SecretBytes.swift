internal import COpenSSL

/// Wiping of secrets that the optimiser cannot take out.
public enum SecretBytes {
  /// Sets the bytes to zero, even when nothing reads them afterwards.
  public static func wipe(_ bytes: UnsafeMutableRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    unsafe OPENSSL_cleanse(start, bytes.count)
  }

  /// Sets the bytes to zero in place; other arrays that share the storage keep their value.
  public static func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { unsafe wipe($0) }
  }
}
