internal import CISAL
internal import CPlatform

/// CRC-32 as zlib, gzip and S3 compute it (reflected, polynomial 0x04c11db7).
public enum CRC32 {
  /// The checksum of everything up to these bytes, `previous` being that of what came before.
  public static func crc(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress else { return previous }
    defer { platform_clear_upper_halves() }
    // The `gzip_refl` variant inverts before and after by itself.
    return unsafe crc32_gzip_refl(
      previous, start.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
  }

  /// The checksum of everything up to these bytes, `previous` being that of what came before.
  public static func crc(_ bytes: [UInt8], after previous: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe crc($0, after: previous) }
  }

  /// The checksum of two runs joined, of which the second has `secondCount` (not negative) bytes.
  public static func combine(_ first: UInt32, _ second: UInt32, secondCount: Int) -> UInt32 {
    CRCPolynomial(reflected: UInt32(0xedb8_8320))
      .shift(first, byBytes: secondCount) ^ second
  }
}

/// CRC-32C (Castagnoli, as iSCSI and S3 compute it; reflected, polynomial 0x1edc6f41).
public enum CRC32C {
  /// The checksum of everything up to these bytes, `previous` being that of what came before.
  public static func crc(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress else { return previous }
    defer { platform_clear_upper_halves() }
    // This function of the library works on the bare register and takes a length of 32 bits.
    var state = ~previous
    var offset = 0
    while offset < bytes.count {
      let count = min(bytes.count - offset, 1 << 30)
      let piece = unsafe UnsafeMutableRawPointer(mutating: start + offset)
      unsafe state = crc32_iscsi(piece.assumingMemoryBound(to: UInt8.self), Int32(count), state)
      offset += count
    }
    return ~state
  }

  /// The checksum of everything up to these bytes, `previous` being that of what came before.
  public static func crc(_ bytes: [UInt8], after previous: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe crc($0, after: previous) }
  }

  /// The checksum of two runs joined, of which the second has `secondCount` (not negative) bytes.
  public static func combine(_ first: UInt32, _ second: UInt32, secondCount: Int) -> UInt32 {
    CRCPolynomial(reflected: UInt32(0x82f6_3b78))
      .shift(first, byBytes: secondCount) ^ second
  }
}

/// CRC-64/NVME (reflected, polynomial 0xad93d23594c93659), S3's default checksum.
public enum CRC64NVME {
  /// The checksum of everything up to these bytes, `previous` being that of what came before.
  public static func crc(_ bytes: UnsafeRawBufferPointer, after previous: UInt64 = 0) -> UInt64 {
    guard let start = bytes.baseAddress else { return previous }
    return unsafe platform_crc64nvme(previous, start, bytes.count)
  }

  /// The checksum of everything up to these bytes, `previous` being that of what came before.
  public static func crc(_ bytes: [UInt8], after previous: UInt64 = 0) -> UInt64 {
    unsafe bytes.withUnsafeBytes { unsafe crc($0, after: previous) }
  }

  /// The checksum of two runs joined, of which the second has `secondCount` (not negative) bytes.
  public static func combine(_ first: UInt64, _ second: UInt64, secondCount: Int) -> UInt64 {
    CRCPolynomial(reflected: UInt64(0x9a6c_9329_ac4b_c9b5))
      .shift(first, byBytes: secondCount) ^ second
  }

  /// The kernels for other processors, for tests to compare with each other.
  static func crcByOtherKernels(_ bytes: [UInt8], after previous: UInt64) -> [UInt64] {
    unsafe bytes.withUnsafeBytes { bytes in
      [
        unsafe platform_crc64nvme_narrow(previous, bytes.baseAddress, bytes.count),
        unsafe platform_crc64nvme_table(previous, bytes.baseAddress, bytes.count),
      ]
    }
  }
}
