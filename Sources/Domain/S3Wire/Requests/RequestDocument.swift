internal import XML

/// Reading of request bodies that are XML.
enum RequestDocument {
  /// The root of a body; throws `MalformedXML` for anything but a document with this root.
  static func parse(
    _ bytes: [UInt8], root name: String, limit: Int, elements: Int
  ) throws(S3Error) -> XMLElement {
    let limits = XMLLimits(bytes: limit, depth: 8, elements: elements, textBytes: 16_384)
    let root: XMLElement
    do {
      root = try XMLReader.parse(bytes, limits: limits)
    } catch .tooLarge {
      throw S3Error(.maxMessageLengthExceeded)
    } catch {
      throw S3Error(.malformedXML)
    }
    guard root.name == name else { throw S3Error(.malformedXML) }
    return root
  }

  /// `true` or `false`.
  static func flag(_ element: XMLElement) throws(S3Error) -> Bool {
    switch element.trimmedText.lowercased() {
    case "true", "1": true
    case "false", "0", "": false
    default: throw S3Error(.malformedXML)
    }
  }
}
