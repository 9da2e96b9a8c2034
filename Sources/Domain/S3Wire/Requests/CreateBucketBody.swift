internal import XML

/// The body of CreateBucket: where the bucket is to be.
public struct CreateBucketBody: Hashable, Sendable {
  /// The region asked for; nil for the server's own.
  public var location: String?

  /// Reads a body, which may be empty; throws `MalformedXML`, and `NotImplemented` for what only
  /// directory buckets have.
  public init(_ bytes: [UInt8]) throws(S3Error) {
    guard !bytes.isEmpty else { return }
    let root = try RequestDocument.parse(
      bytes, root: "CreateBucketConfiguration", limit: S3BodyRule.configurationLimit, elements: 512)
    for child in root.children {
      switch child.name {
      case "LocationConstraint":
        let text = child.trimmedText
        guard text.utf8.count <= 64 else { throw S3Error(.invalidLocationConstraint) }
        location = text.isEmpty ? nil : text
      case "Location", "Bucket", "Tags":
        throw S3Error(.notImplemented, "\(child.name) of a new bucket is not implemented")
      default: throw S3Error(.malformedXML)
      }
    }
  }

  /// Throws `IllegalLocationConstraintException` unless the bucket may be in this region.
  public func check(region: String) throws(S3Error) {
    guard let location, location != region, !(location == "EU" && region == "eu-west-1") else {
      return
    }
    throw S3Error(
      .illegalLocationConstraintException,
      "The \(location) location constraint is incompatible for the region specific endpoint this "
        + "request was sent to.")
  }
}
