/// The description of the Files API that `/openapi.yaml` serves.
public enum OpenAPIDocument {
  /// The document in UTF-8.
  public static var bytes: [UInt8] {
    text.withUTF8Buffer { unsafe Array($0) }
  }
}
