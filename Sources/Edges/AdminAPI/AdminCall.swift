import Access
import Base
import HTTPServer

/// One authenticated request, taken apart.
struct AdminCall {
  let method: HTTPMethod
  /// The segments behind `/admin/v1/`, decoded.
  let path: [String]
  let identity: Identity
  private let query: [String: String]
  private let members: [JSONValue.Member]

  init(_ head: HTTPRequestHead, body: [UInt8], identity: Identity) throws(AdminError) {
    method = head.method
    self.identity = identity
    var path: [String] = []
    for segment in head.path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .dropFirst(3)
    {
      guard let text = Self.decode(segment) else {
        throw .badRequest("the path is not percent-encoded UTF-8")
      }
      path.append(text)
    }
    self.path = path
    query = try Self.query(head.query ?? [])
    members = try Self.members(body)
  }

  /// A parameter of the query.
  func parameter(_ name: String) -> String? { query[name] }

  /// Throws unless the body has no members but these.
  func allow(_ names: Set<String>) throws(AdminError) {
    for member in members where !names.contains(member.name) {
      throw .badRequest("unknown member \(JSONText.quote(String(member.name.prefix(64))))")
    }
  }

  /// A text of the body; nil when it is not there or `null`. Throws when it is no text.
  func text(_ name: String) throws(AdminError) -> String? {
    guard let value = members.first(where: { $0.name == name })?.value, value != .null else {
      return nil
    }
    guard let text = value.text, text.utf8.count <= 1024 else {
      throw .badRequest("\(name) is a text of at most 1024 bytes")
    }
    return text
  }

  /// A text of the body that must be there.
  func required(_ name: String) throws(AdminError) -> String {
    guard let text = try text(name) else { throw .badRequest("\(name) is missing") }
    return text
  }

  /// A whole number of the body; nil when it is not there or `null`. Throws when it is none.
  func integer(_ name: String) throws(AdminError) -> Int? {
    guard let value = members.first(where: { $0.name == name })?.value, value != .null else {
      return nil
    }
    guard let number = value.integer.flatMap({ Int(exactly: $0) }) else {
      throw .badRequest("\(name) is a whole number")
    }
    return number
  }

  /// A moment of the body in ISO 8601; nil when it is not there.
  func timestamp(_ name: String) throws(AdminError) -> Timestamp? {
    guard let text = try text(name) else { return nil }
    guard let time = Timestamp(iso8601: text) else {
      throw .badRequest("\(name) is a time such as 2026-01-02T03:04:05Z")
    }
    return time
  }

  private static func members(_ body: [UInt8]) throws(AdminError) -> [JSONValue.Member] {
    if body.isEmpty { return [] }
    let value: JSONValue
    do throws(FormatError) {
      value = try JSONValue(parsing: body)
    } catch {
      throw .badRequest("\(error)")
    }
    guard case .object(let members) = value else {
      throw .badRequest("the body is a JSON object")
    }
    return members
  }

  private static func query(_ raw: ArraySlice<UInt8>) throws(AdminError) -> [String: String] {
    var result: [String: String] = [:]
    for pair in raw.split(separator: UInt8(ascii: "&")) {
      let pieces = pair.split(
        separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decode(pieces[0]), let value = pieces.count > 1 ? decode(pieces[1]) : "",
        result.updateValue(value, forKey: name) == nil
      else { throw .badRequest("the query is malformed") }
    }
    return result
  }

  private static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
    PercentCoding.decode(bytes).flatMap { String(validating: $0, as: UTF8.self) }
  }
}
