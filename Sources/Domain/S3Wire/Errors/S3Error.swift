internal import XML

/// What a client is answered instead of success.
public struct S3Error: Error, Hashable, Sendable {
  /// What went wrong, for programs.
  public var code: Code
  /// What went wrong, for people; never holds a secret, an internal path or SQL.
  public var message: String
  /// Further elements of the answer, such as `ArgumentName`; names are names of XML elements.
  public var details: [Detail]

  /// One further element of the answer.
  public struct Detail: Hashable, Sendable {
    /// The element's name.
    public var name: String
    /// The element's text.
    public var value: String

    /// Makes an element.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// Makes an error; without a message it has S3's sentence for the code.
  public init(_ code: Code, _ message: String? = nil, details: [Detail] = []) {
    self.code = code
    self.message = message ?? code.message
    self.details = details
  }

  /// `InvalidArgument` for one parameter or header.
  public static func invalidArgument(
    _ message: String, name: String, value: String? = nil
  ) -> S3Error {
    var details = [Detail("ArgumentName", name)]
    if let value { details.append(Detail("ArgumentValue", String(value.prefix(256)))) }
    return S3Error(.invalidArgument, message, details: details)
  }

  /// `PreconditionFailed` that names the header that did not hold.
  public static func preconditionFailed(_ condition: String) -> S3Error {
    S3Error(.preconditionFailed, details: [Detail("Condition", condition)])
  }

  /// `NotImplemented` for a header or parameter that asks for something not offered.
  public static func notImplemented(header: String) -> S3Error {
    S3Error(.notImplemented, details: [Detail("Header", header)])
  }

  /// The HTTP status of the answer.
  public var status: Int { code.status }

  /// The body of the answer: S3's `Error` document. Elements with characters that XML 1.0 has not
  /// (§2.2) are left out, and such a message gives way to the code's own.
  ///
  /// - Parameters:
  ///   - resource: the path of the request as the client sent it.
  ///   - requestID: what the client's `x-amz-request-id` names.
  public func body(resource: [UInt8], requestID: String) -> [UInt8] {
    var writer = XMLWriter()
    writer.open("Error")
    writer.element("Code", code.name)
    writer.element("Message", Self.isXML(message) ? message : code.message)
    for detail in details where Self.isXML(detail.value) {
      writer.element(named: detail.name, detail.value)
    }
    let path = String(decoding: resource, as: UTF8.self)
    if Self.isXML(path) { writer.element("Resource", path) }
    writer.element("RequestId", requestID)
    writer.element("HostId", requestID)
    writer.close("Error")
    return writer.bytes
  }

  /// Whether XML 1.0 can carry a text.
  private static func isXML(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
      switch scalar.value {
      case 0x09, 0x0a, 0x0d: true
      case 0x20...0xfffd, 0x1_0000...: true
      default: false
      }
    }
  }
}
