/// The bodies of successful answers: each function makes one whole XML document.
public enum S3Response {
  /// The value of `Content-Type` of every one of them.
  public static let contentType = "application/xml"
}
