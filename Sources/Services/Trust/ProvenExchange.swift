public import Base
import Crypto
public import Runtime

/// One request of a storage server to a gateway with its proof, and the reading of its answer.
///
/// It moves no bytes: the caller sends `headers` and `body` by POST to `path`, by whatever
/// transport, and gives what came back to `open`.
public struct ProvenExchange: Sendable {
  /// What the sender has to show.
  public enum Credential: Sendable {
    /// A join token.
    case token(JoinToken)
    /// The secret of a cluster on one machine, and the storage server that speaks.
    case secret([UInt8], ServerID)
    /// The certificate of the storage server.
    case certificate(OpenIdentity)
  }

  /// Where to.
  public let path: String
  /// Fields to send besides those of the transport.
  public let headers: [(name: String, value: String)]
  /// The body: JSON.
  public let body: [UInt8]

  private let credential: Credential
  private let canonical: [UInt8]
  private let time: Timestamp

  /// Prepares a request. `now` is later than at any request of this sender before.
  ///
  /// Throws `malformed` for a certificate that is none of a storage server.
  public init(
    path: String, body: JSONValue, credential: Credential, now: Timestamp,
    random: any RandomSource
  ) throws(TrustError) {
    self.path = path
    self.body = Array(body.encoded.utf8)
    self.credential = credential
    time = now
    let kind: Proof.Kind
    let id: [UInt8]
    var certificate = ""
    switch credential {
    case .token(let token): (kind, id) = (.token, token.id.bytes)
    case .secret(_, let server): (kind, id) = (.secret, server.bytes)
    case .certificate(let identity):
      guard let server = identity.server else {
        throw .malformed("the certificate is none of a storage server")
      }
      (kind, id) = (.certificate, server.bytes)
      certificate = CertificateField.encode(identity.chain)
    }
    let statement = Proof.Statement(kind: kind, id: id, time: now, nonce: random.bytes(16))
    canonical = statement.canonical(
      method: "POST", path: path, body: self.body, certificate: certificate)
    let proof: [UInt8]
    switch credential {
    case .token(let token):
      proof = HMAC.sha256(
        key: Proof.key(kind, secret: token.secret, id: id, isAnswer: false), message: canonical)
    case .secret(let secret, _):
      proof = HMAC.sha256(
        key: Proof.key(kind, secret: secret, id: id, isAnswer: false), message: canonical)
    case .certificate(let identity): proof = identity.key.sign(canonical)
    }
    var headers = [(name: "Authorization", value: statement.field(proof: proof))]
    if !certificate.isEmpty { headers.append((name: "X-Cluster-Certificate", value: certificate)) }
    self.headers = headers
  }

  /// The answer's JSON, once it is shown that a gateway of this cluster has made it for this very
  /// request. `header` gives the first value of an answer's field.
  ///
  /// Throws `refused` with what the other end says when it answers with an error, which proves
  /// nothing, and `unauthorized` for an answer without a right proof.
  public func open(
    status: Int, body answer: [UInt8], header: (String) -> String?
  ) throws(TrustError) -> JSONValue {
    let value = try? JSONValue(parsing: answer)
    guard status == 200 else {
      let details = value?["details"]?.text.map(Self.printable)
      throw .refused("\(details ?? "the gateway refuses") (\(status))")
    }
    let message = Proof.canonicalAnswer(request: canonical, status: status, body: answer)
    guard let text = header("x-cluster-proof"), text.utf8.count <= 512,
      let proof = Hex.decode(text), isProven(message, proof, header), let value
    else { throw .unauthorized }
    return value
  }

  private func isProven(
    _ message: [UInt8], _ proof: [UInt8], _ header: (String) -> String?
  ) -> Bool {
    switch credential {
    case .token(let token):
      let key = Proof.key(.token, secret: token.secret, id: token.id.bytes, isAnswer: true)
      return ConstantTime.equals(HMAC.sha256(key: key, message: message), proof)
    case .secret(let secret, let server):
      let key = Proof.key(.secret, secret: secret, id: server.bytes, isAnswer: true)
      return ConstantTime.equals(HMAC.sha256(key: key, message: message), proof)
    case .certificate(let identity):
      guard let field = header("x-cluster-certificate"),
        let chain = try? CertificateField.decode(field), let first = chain.first
      else { return false }
      do throws(CertificateError) {
        try CertificateVerifier(trusting: identity.authorities).verify(
          chain, as: .client, name: ClusterNames.gateway, at: time)
      } catch {
        return false
      }
      return first.verify(proof, of: message)
    }
  }

  /// What another end says is shown, not obeyed.
  private static func printable(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.prefix(300).filter { $0.value >= 0x20 && !(0x7f...0x9f ~= $0.value) }))
  }
}
