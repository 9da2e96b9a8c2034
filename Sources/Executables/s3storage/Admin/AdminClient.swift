import AdminAPI
import Base
import Crypto
import Runtime
import Signing

/// Signed requests to an Admin API.
struct AdminClient {
  /// The largest answer that is kept in memory.
  private static let maximumAnswerBytes = 64 << 20

  private let endpoint: AdminEndpoint
  private let trust: TLSTrust
  private let signer: RequestSigner
  private let clock = SystemWallClock()

  /// Uses an administrator's key; `trust` says which authorities vouch for an endpoint with TLS.
  init(
    endpoint: AdminEndpoint, trust: TLSTrust = .system, accessKeyID: String, secretKey: String
  ) {
    self.endpoint = endpoint
    self.trust = trust
    signer = AdminSigning.signer(accessKeyID: accessKeyID, secretKey: secretKey)
  }

  /// Sends a request and returns the JSON of its answer. Throws `AdminFailure` with what the
  /// server says when it refuses. `path` is encoded and stands behind `/admin/v1/`.
  func call(
    _ method: String, _ path: String, query: String = "", body: JSONValue? = nil
  ) throws -> JSONValue {
    let exchange = try send(method, path, query: query, body: body)
    let bytes = try exchange.readBody(upTo: Self.maximumAnswerBytes)
    let answer = try? JSONValue(parsing: bytes)
    guard (200..<300).contains(exchange.status) else { throw Self.failure(exchange, answer) }
    guard let answer else { throw AdminFailure("the server's answer is not JSON") }
    return answer
  }

  /// Sends a GET and hands the answer's bytes to `sink` piece by piece; returns how many they
  /// were. Throws when fewer came than announced.
  func download(_ path: String, to sink: ([UInt8]) throws -> Void) throws -> Int {
    let exchange = try send("GET", path, query: "", body: nil)
    guard exchange.status == 200 else {
      throw Self.failure(exchange, try? JSONValue(parsing: exchange.readBody(upTo: 1 << 20)))
    }
    var count = 0
    while let piece = try exchange.readPiece() {
      try sink(piece)
      count += piece.count
    }
    return count
  }

  private func send(
    _ method: String, _ path: String, query: String, body: JSONValue?
  ) throws -> HTTPExchange {
    let bytes = body.map { Array($0.encoded.utf8) } ?? []
    let rawPath = "/admin/v1/\(path)"
    let signed = try signer.sign(
      method: method, rawPath: rawPath, rawQuery: query,
      fields: [.init("host", endpoint.authority)], payload: AdminSigning.payload(bytes),
      now: clock.now)
    var head = "\(method) \(rawPath)\(query.isEmpty ? "" : "?\(query)") HTTP/1.1\r\n"
    for field in signed.fields {
      head += String(decoding: field.name, as: UTF8.self) + ": "
      head += String(decoding: field.value, as: UTF8.self) + "\r\n"
    }
    if !bytes.isEmpty { head += "content-type: application/json\r\n" }
    head += "content-length: \(bytes.count)\r\nconnection: close\r\n\r\n"
    return try HTTPExchange(endpoint, trust: trust, request: Array(head.utf8) + bytes)
  }

  private static func failure(_ exchange: HTTPExchange, _ answer: JSONValue?) -> AdminFailure {
    guard let details = answer?["details"]?.text else {
      return AdminFailure("the server answered \(exchange.status)")
    }
    // What a server says is shown, not obeyed: nothing that moves a terminal's cursor.
    let text = details.unicodeScalars.filter { $0.value >= 0x20 && !(0x7f...0x9f ~= $0.value) }
    return AdminFailure("\(String(text)) (\(exchange.status))")
  }
}
