/// A request method (RFC 9110 §9); methods are case-sensitive.
public enum HTTPMethod: Hashable, Sendable, CustomStringConvertible {
  case get
  case head
  case put
  case post
  case delete
  case options
  case patch
  /// Any other token of at most 32 characters, as received.
  case other(String)

  /// The token of the request line.
  public var description: String {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .put: "PUT"
    case .post: "POST"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    case .patch: "PATCH"
    case .other(let token): token
    }
  }

  /// Precondition: the bytes are a token, so ASCII.
  init(token: ArraySlice<UInt8>) {
    let text = String(decoding: token, as: UTF8.self)
    switch text {
    case "GET": self = .get
    case "HEAD": self = .head
    case "PUT": self = .put
    case "POST": self = .post
    case "DELETE": self = .delete
    case "OPTIONS": self = .options
    case "PATCH": self = .patch
    default: self = .other(text)
    }
  }
}
