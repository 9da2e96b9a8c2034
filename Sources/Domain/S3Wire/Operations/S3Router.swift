/// Tells which operation a request asks for: total, and by nothing but method, target, query
/// parameters and the presence of headers.
public enum S3Router {
  /// The operation of a request.
  ///
  /// A sub-resource that the method has no operation for is `MethodNotAllowed`, two sub-resources at
  /// once are `InvalidArgument`, and half of what names a part is `InvalidArgument`: none of them
  /// ever falls through to an operation on the object or bucket itself. Parameters that name no
  /// sub-resource are ignored, as S3 does.
  ///
  /// - Parameters:
  ///   - method: the method of the request line, case-sensitive.
  ///   - hasHeader: whether a header of this lower-case name is there.
  ///   - isForm: whether the body is `multipart/form-data`.
  public static func route(
    method: String, hasBucket: Bool, hasKey: Bool, query: RequestQuery,
    isForm: Bool = false, hasHeader: (String) -> Bool
  ) throws(S3Error) -> S3Operation {
    guard let method = S3Method(rawValue: method) else {
      throw methodNotAllowed(method, nil)
    }
    if method == .options { return .preflightRequest }
    let target: S3TargetKind = !hasBucket ? .service : hasKey ? .object : .bucket
    let resource = try subresource(target, query)
    try checkPart(method, target, query)
    for rule in S3OperationRule.candidates(method, target)
    where rule.markers.allSatisfy({ query.matches($0) }) {
      // A sub-resource that this rule does not ask for is not this rule's operation.
      if let resource, !rule.markers.contains(where: { $0 == resource }) { continue }
      if let header = rule.header, !hasHeader(header) { continue }
      if rule.operation == .postObject && !isForm {
        throw S3Error(
          .preconditionFailed,
          details: [
            .init("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
          ])
      }
      return rule.operation
    }
    throw methodNotAllowed(method.rawValue, resource)
  }

  /// The names of a query's parameters that may select an operation, or say what of it.
  public static func selectors(in query: RequestQuery) -> [ArraySlice<UInt8>] {
    query.parameters.map(\.name).filter { name in
      subresources.contains { name.elementsEqual($0) }
    }
  }

  private static func methodNotAllowed(_ method: String, _ resource: [UInt8]?) -> S3Error {
    var details = [S3Error.Detail("Method", String(method.prefix(32)))]
    if let resource {
      details.append(
        .init("ResourceType", String(decoding: resource, as: UTF8.self).uppercased()))
    }
    return S3Error(.methodNotAllowed, details: details)
  }

  /// The one sub-resource that the query names, nil when it names none.
  private static func subresource(
    _ target: S3TargetKind, _ query: RequestQuery
  ) throws(S3Error) -> [UInt8]? {
    guard target != .service else { return nil }
    var found: [UInt8]?
    for parameter in query.parameters {
      guard let name = subresources.first(where: { parameter.name.elementsEqual($0) }) else {
        continue
      }
      if let other = found, other != name {
        let names = [other, name].map { String(decoding: $0, as: UTF8.self) }
        throw .invalidArgument(
          "Conflicting query string parameters: \(names.joined(separator: ", "))",
          name: "ResourceType", value: names[0])
      }
      found = name
    }
    return found
  }

  /// A part is named by two parameters: one alone must not become a request for the whole object.
  private static func checkPart(
    _ method: S3Method, _ target: S3TargetKind, _ query: RequestQuery
  ) throws(S3Error) {
    guard method == .put, target == .object else { return }
    let hasNumber = query.contains("partNumber")
    let hasUpload = query.contains("uploadId")
    guard hasNumber != hasUpload else { return }
    throw .invalidArgument(
      "This operation needs both partNumber and uploadId",
      name: hasNumber ? "uploadId" : "partNumber")
  }

  /// Names of parameters that each select one operation; no two of them go together.
  private static let subresources: [[UInt8]] = {
    // The others qualify a sub-resource or an operation.
    let qualifiers: Set<String> = ["partNumber", "id", "annotationName", "list-type=2"]
    let names = Set(
      S3OperationRule.all.flatMap(\.markers).map { String(decoding: $0, as: UTF8.self) })
    return names.subtracting(qualifiers).sorted().map { Array($0.utf8) }
  }()
}
