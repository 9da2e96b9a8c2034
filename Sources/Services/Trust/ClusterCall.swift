import Base
import Crypto

/// A request of a storage server as it came over the wire.
public struct ClusterCall: Sendable {
  /// Bytes of a body at most.
  public static let maximumBodyBytes = 64 << 10

  /// What is asked for; the raw value is the path.
  public enum Operation: String, CaseIterable, Sendable {
    /// A first certificate, for a token.
    case join = "/cluster/join"
    /// The next certificate, for the one in force.
    case renew = "/cluster/renew"
    /// To be known with address and stores.
    case register = "/cluster/register"
  }

  /// What is asked for.
  public var operation: Operation
  /// The Authorization field.
  public var authorization: String?
  /// The X-Cluster-Certificate field.
  public var certificate: String?
  /// The body.
  public var body: [UInt8]
  /// Who sends: the address without a port.
  public var sender: String
  /// Whether the sender is on this machine.
  public var isLoopback: Bool

  /// Makes a call of its fields.
  public init(
    operation: Operation, authorization: String?, certificate: String?, body: [UInt8],
    sender: String, isLoopback: Bool
  ) {
    self.operation = operation
    self.authorization = authorization
    self.certificate = certificate
    self.body = body
    self.sender = sender
    self.isLoopback = isLoopback
  }
}

/// The answer to a call that succeeded: status 200.
public struct ClusterReply: Sendable {
  /// Fields to send: the proof and what it needs.
  public var headers: [(name: String, value: String)]
  /// JSON.
  public var body: [UInt8]
}

/// Who has proven to speak, and how the answer is proven to it.
enum ProvenSender {
  case token(JoinToken.ID, secret: [UInt8], JoinTokenRecord)
  case secret(ServerID, secret: [UInt8])
  case certificate(ServerID, Certificate)

  var server: ServerID? {
    switch self {
    case .token: nil
    case .secret(let server, _), .certificate(let server, _): server
    }
  }
}

/// A JSON body with the members that are expected and no others.
struct StrictObject {
  private let value: JSONValue

  init(_ value: JSONValue?, members: Set<String>) throws(TrustError) {
    guard let value, case .object(let found) = value else {
      throw .malformed("a JSON object is expected")
    }
    for member in found where !members.contains(member.name) {
      throw .malformed("an unknown member")
    }
    self.value = value
  }

  /// Whether a member is there.
  func has(_ name: String) -> Bool { value[name] != nil }

  /// A text of at most `limit` bytes that must be there.
  func text(_ name: String, limit: Int) throws(TrustError) -> String {
    guard let text = value[name]?.text, text.utf8.count <= limit else {
      throw .malformed("\(name) is a text of at most \(limit) bytes")
    }
    return text
  }

  func integer(_ name: String, in range: ClosedRange<Int64>) throws(TrustError) -> Int {
    guard let number = value[name]?.integer, range.contains(number) else {
      throw .malformed("\(name) is a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return Int(number)
  }

  func elements(_ name: String, limit: Int) throws(TrustError) -> [JSONValue] {
    guard let elements = value[name]?.elements, (1...limit).contains(elements.count) else {
      throw .malformed("\(name) is an array of 1 to \(limit) elements")
    }
    return elements
  }
}
