import Base
import Crypto

/// Entity tags as S3 makes them, without the quotes around them.
public enum ETag {
  /// The tag of an object that came in one piece: its MD5 in hexadecimal.
  ///
  /// Precondition: `md5` has 16 bytes.
  public static func single(md5: [UInt8]) -> String {
    precondition(md5.count == DigestAlgorithm.md5.byteCount, "an MD5 has 16 bytes")
    return Hex.encode(md5)
  }

  /// The tag of an object in parts: the MD5 of the parts' MD5s joined, `-` and their number.
  ///
  /// Precondition: each of `partMD5s` has 16 bytes.
  public static func multipart(partMD5s: [[UInt8]]) -> String {
    let digest = Digest(.md5)
    for md5 in partMD5s {
      precondition(md5.count == DigestAlgorithm.md5.byteCount, "an MD5 has 16 bytes")
      digest.update(md5)
    }
    return "\(Hex.encode(digest.finish()))-\(partMD5s.count)"
  }
}
