/// What GetObjectAttributes is to tell: `x-amz-object-attributes`.
public struct ObjectAttributesRequest: Hashable, Sendable {
  /// An attribute.
  public enum Attribute: String, Hashable, Sendable, CaseIterable {
    /// The tag.
    case etag = "ETag"
    /// The checksum.
    case checksum = "Checksum"
    /// The parts.
    case parts = "ObjectParts"
    /// The storage class.
    case storageClass = "StorageClass"
    /// The size.
    case size = "ObjectSize"
  }

  /// The attributes asked for, at least one.
  public var attributes: Set<Attribute>
  /// Parts at most: 0 to 1000.
  public var pageSize: Int
  /// The part number behind which the parts begin.
  public var marker: Int

  /// Reads the headers; throws `InvalidArgument` and `InvalidRequest`.
  public init(_ headers: RequestHeaders) throws(S3Error) {
    attributes = []
    let name = "x-amz-object-attributes"
    let text = headers.joined(name) ?? ""
    for piece in text.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }) {
      guard let attribute = Attribute(rawValue: String(piece)) else {
        throw .invalidArgument("Invalid attribute name specified.", name: name, value: text)
      }
      attributes.insert(attribute)
    }
    guard !attributes.isEmpty else {
      throw S3Error(
        .invalidRequest,
        "The x-amz-object-attributes header specifying the attributes to be "
          + "retrieved is either missing or empty")
    }
    marker = try Parameters.partNumberMarker(headers.text("x-amz-part-number-marker"))
    pageSize = Parameters.maximumPage
    if let text = headers.text("x-amz-max-parts"), !text.isEmpty {
      guard text.utf8.count <= 10, let value = Parameters.number(text), value <= Int(Int32.max)
      else {
        throw .invalidArgument(
          "Provided max-parts not an integer or within integer range", name: "x-amz-max-parts",
          value: text)
      }
      pageSize = min(value, Parameters.maximumPage)
    }
  }
}
