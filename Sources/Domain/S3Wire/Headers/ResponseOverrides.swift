/// The `response-*` parameters of a GET or HEAD: headers of the answer that the client chooses.
public enum ResponseOverrides {
  private static let names = [
    ("response-content-type", "content-type"), ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"), ("response-expires", "expires"),
  ]

  /// The headers to replace, in lower case; throws `InvalidArgument` for a value that is no header
  /// value, so that no answer can be split.
  public static func parse(_ query: RequestQuery) throws(S3Error) -> [NamedValue] {
    var result: [NamedValue] = []
    for (parameter, header) in names {
      guard let value = try query.text(parameter) else { continue }
      try ObjectHeaders.check(value, name: parameter)
      result.append(NamedValue(name: header, value: value))
    }
    return result
  }
}
