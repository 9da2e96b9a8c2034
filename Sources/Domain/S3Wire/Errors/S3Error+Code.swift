extension S3Error {
  /// A code of the S3 API: what clients tell errors apart by.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name on the wire.
    public let name: String
    /// The HTTP status that S3 answers with it.
    public let status: Int
    /// S3's sentence for it.
    public let message: String

    /// Makes a code; the predeclared ones are the ones S3 documents.
    public init(_ name: String, _ status: Int, _ message: String) {
      self.name = name
      self.status = status
      self.message = message
    }

    /// The name on the wire.
    public var description: String { name }

    /// The predeclared code of this name.
    public static func named(_ name: String) -> Code? { byName[name] }

    /// All predeclared codes.
    public static let all: [Code] =
      accessCodes + requestCodes + bucketCodes + objectCodes + configurationCodes + serverCodes

    private static let byName = Dictionary(
      all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}
