/// The versions of AWS's signature that are known here.
public enum SignatureVersion: Hashable, Sendable {
  /// HMAC-SHA1 with the secret itself, in presigned URLs only.
  case version2
  /// HMAC-SHA256 with a key derived for a day, a region and a service.
  case version4
}
