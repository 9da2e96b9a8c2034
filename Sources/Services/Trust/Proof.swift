import Base
import Crypto

/// How the two ends of a request show each other who they are. The secret itself never travels: a
/// proof covers method, path, body, time and a nonce, and the answer's proof covers the request's.
enum Proof {
  /// What the sender proves with.
  enum Kind: String {
    /// The secret of a join token.
    case token
    /// The secret of a cluster on one machine.
    case secret
    /// The key of a certificate.
    case certificate
  }

  static let scheme = "S3STORAGE-CLUSTER"
  static let maximumFieldBytes = 16 << 10

  /// What a sender says of its proof.
  struct Statement {
    var kind: Kind
    /// The token, or the storage server.
    var id: [UInt8]
    var time: Timestamp
    var nonce: [UInt8]

    /// What is proven of a request.
    func canonical(method: String, path: String, body: [UInt8], certificate: String) -> [UInt8] {
      Proof.lines([
        "s3storage cluster request 1", method, path, kind.rawValue, Hex.encode(id),
        "\(time.milliseconds)", Hex.encode(nonce), Hex.encode(Digest.hash(.sha256, certificate)),
        Hex.encode(Digest.hash(.sha256, body)),
      ])
    }

    func field(proof: [UInt8]) -> String {
      "\(Proof.scheme) kind=\(kind.rawValue),id=\(Hex.encode(id)),time=\(time.milliseconds),"
        + "nonce=\(Hex.encode(nonce)),proof=\(Hex.encode(proof))"
    }

    /// Reads an Authorization field: exactly these parameters in this order.
    static func parse(_ field: String) -> (statement: Statement, proof: [UInt8])? {
      guard field.utf8.count <= 1024, field.hasPrefix(Proof.scheme + " ") else { return nil }
      let pieces = field.dropFirst(Proof.scheme.count + 1).split(
        separator: ",", omittingEmptySubsequences: false)
      let names = ["kind=", "id=", "time=", "nonce=", "proof="]
      guard pieces.count == names.count else { return nil }
      var values: [String] = []
      for (piece, name) in zip(pieces, names) {
        guard piece.hasPrefix(name) else { return nil }
        values.append(String(piece.dropFirst(name.count)))
      }
      guard let kind = Kind(rawValue: values[0]), let id = Hex.decode(values[1]), id.count == 16,
        let time = Int64(values[2]), time > 0, "\(time)" == values[2],
        let nonce = Hex.decode(values[3]), nonce.count == 16,
        let proof = Hex.decode(values[4]), (1...160).contains(proof.count)
      else { return nil }
      return (
        Statement(kind: kind, id: id, time: Timestamp(milliseconds: time), nonce: nonce), proof
      )
    }
  }

  /// What is proven of an answer.
  static func canonicalAnswer(request: [UInt8], status: Int, body: [UInt8]) -> [UInt8] {
    lines([
      "s3storage cluster answer 1", Hex.encode(Digest.hash(.sha256, request)), "\(status)",
      Hex.encode(Digest.hash(.sha256, body)),
    ])
  }

  /// The key of one direction that a secret yields.
  static func key(_ kind: Kind, secret: [UInt8], id: [UInt8], isAnswer: Bool) -> [UInt8] {
    let info = "s3storage cluster \(kind.rawValue) \(isAnswer ? "answer" : "request")"
    return HKDF.sha256(inputKey: secret, salt: id, info: Array(info.utf8), count: 32)
  }

  private static func lines(_ lines: [String]) -> [UInt8] {
    Array(lines.joined(separator: "\n").utf8)
  }
}

/// Chains of certificates in a header field: DER in Base64, separated by commas.
enum CertificateField {
  static func encode(_ chain: [Certificate]) -> String {
    chain.map { Base64.encode($0.der) }.joined(separator: ",")
  }

  static func decode(_ field: String) throws(CertificateError) -> [Certificate] {
    guard field.utf8.count <= Proof.maximumFieldBytes else { throw .malformed("too long") }
    var chain: [Certificate] = []
    for piece in field.split(separator: ",", omittingEmptySubsequences: false) {
      guard chain.count < 4, let der = Base64.decode(String(piece)) else {
        throw .malformed("not a chain of certificates")
      }
      chain.append(try Certificate(der: der))
    }
    return chain
  }
}
