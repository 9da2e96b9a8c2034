import Base
import Crypto
import Sealing

/// The authorities of a cluster as they are stored; the last one signs, all are trusted.
struct AuthoritySet {
  struct Authority {
    var certificate: Certificate
    /// The same authority as signed by the one before it; for those who know only that one.
    var cross: Certificate?
    /// The private key, sealed under the cluster's keys.
    var sealedKey: [UInt8]
  }

  static let settingName = "cluster_authorities"
  static let limit = 8

  var authorities: [Authority]

  var certificates: [Certificate] { authorities.map(\.certificate) }

  /// All of them in PEM, the newest last.
  var pem: String { Certificate.pem(certificates) }

  init(authorities: [Authority]) {
    self.authorities = authorities
  }

  init(parsing bytes: [UInt8]) throws(TrustError) {
    guard let value = try? JSONValue(parsing: bytes),
      let items = value["authorities"]?.elements, (1...Self.limit).contains(items.count)
    else { throw .damaged("the list of authorities is malformed") }
    authorities = []
    for item in items {
      guard let certificate = Self.certificate(item["certificate"]?.text),
        let sealed = item["key"]?.text.flatMap({ Base64.decode($0) })
      else { throw .damaged("an authority is malformed") }
      authorities.append(
        Authority(
          certificate: certificate, cross: Self.certificate(item["cross"]?.text),
          sealedKey: sealed))
    }
  }

  var encoded: [UInt8] {
    let items = authorities.map { authority -> JSONValue in
      [
        "certificate": .string(authority.certificate.pem),
        "cross": JSONValue(authority.cross?.pem),
        "key": .string(Base64.encode(authority.sealedKey)),
      ]
    }
    let value: JSONValue = ["authorities": .array(items)]
    return Array(value.encoded.utf8)
  }

  private static func certificate(_ pem: String?) -> Certificate? {
    pem.flatMap { try? Certificate.parse(pem: $0) }?.first
  }
}
