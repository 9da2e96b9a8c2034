internal import CZstd

/// Why compressed bytes do not decompress.
public enum CompressionError: Error, Hashable, Sendable {
  /// The bytes are no Zstandard frame, or a damaged one.
  case corrupt
  /// The content is longer than the caller allows.
  case tooLarge
}

/// Zstandard (RFC 8878), whole runs of bytes at once.
public enum Zstandard {
  /// The levels that `compress` takes: the higher, the smaller and slower.
  public static let levels = 1...19

  /// One frame that holds the bytes, their length and a checksum of them.
  ///
  /// It may be longer than the bytes where they do not compress. Precondition: `level` is in
  /// `levels`.
  public static func compress(_ bytes: [UInt8], level: Int = 1) -> [UInt8] {
    precondition(levels.contains(level), "a level from 1 to 19")
    guard let context = unsafe ZSTD_createCCtx() else { fatalError("out of memory") }
    defer { unsafe ZSTD_freeCCtx(context) }
    unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
    unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    let bound = ZSTD_compressBound(bytes.count)
    return unsafe [UInt8](unsafeUninitializedCapacity: bound) { target, count in
      count = unsafe bytes.withUnsafeBytes { source in
        unsafe ZSTD_compress2(
          context, target.baseAddress, bound, source.baseAddress, source.count)
      }
      // With a target of `ZSTD_compressBound` only a failed allocation is left.
      precondition(ZSTD_isError(count) == 0, "out of memory")
    }
  }

  /// The content of one frame.
  ///
  /// Allocates what the frame declares, never more than `limit` bytes (not negative). Throws
  /// `tooLarge` when the content is longer than `limit`, `corrupt` when the bytes are not exactly
  /// one frame that declares its length.
  public static func decompress(
    _ bytes: [UInt8], limit: Int
  ) throws(CompressionError) -> [UInt8] {
    let (declared, frameCount) = unsafe bytes.withUnsafeBytes { source in
      unsafe (
        ZSTD_getFrameContentSize(source.baseAddress, source.count),
        ZSTD_findFrameCompressedSize(source.baseAddress, source.count)
      )
    }
    // The two highest values say "unknown" and "no frame"; `compress` makes neither.
    guard declared < UInt64.max - 1, ZSTD_isError(frameCount) == 0, frameCount == bytes.count
    else { throw .corrupt }
    guard let length = Int(exactly: declared), length <= limit else { throw .tooLarge }
    var isIntact = false
    let result = unsafe [UInt8](unsafeUninitializedCapacity: length) { target, count in
      let status = unsafe bytes.withUnsafeBytes { source in
        unsafe ZSTD_decompress(target.baseAddress, length, source.baseAddress, source.count)
      }
      isIntact = ZSTD_isError(status) == 0 && status == length
      count = isIntact ? length : 0
    }
    guard isIntact else { throw .corrupt }
    return result
  }
}
