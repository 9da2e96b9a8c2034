import Base
import Crypto

/// The join tokens as they are stored.
struct TokenList {
  struct Token {
    var record: JoinTokenRecord
    /// The secret, sealed under the cluster's keys.
    var sealedSecret: [UInt8]
    /// Fingerprints of the keys that joined, when uses are counted: joining again is no new use.
    var joined: [String]
  }

  static let settingName = "cluster_tokens"
  static let limit = 256
  static let maximumUses = 1000
  /// How long an expired token is kept, so that it can be told from an unknown one.
  static let retention: Int64 = 7 * TrustConfiguration.day

  var tokens: [Token] = []

  init(parsing bytes: [UInt8]?) throws(TrustError) {
    guard let bytes else { return }
    guard let items = (try? JSONValue(parsing: bytes))?["tokens"]?.elements else {
      throw .damaged("the list of tokens is malformed")
    }
    for item in items {
      guard let id = item["id"]?.text.flatMap({ JoinToken.ID(hex: $0) }),
        let secret = item["secret"]?.text.flatMap({ Base64.decode($0) }),
        let created = item["created"]?.integer, let expires = item["expires"]?.integer,
        let count = item["used"]?.integer
      else { throw .damaged("a token is malformed") }
      tokens.append(
        Token(
          record: JoinTokenRecord(
            id: id, created: Timestamp(milliseconds: created),
            expires: Timestamp(milliseconds: expires),
            uses: item["uses"]?.integer.map { Int(clamping: $0) }, usedCount: Int(clamping: count),
            server: item["server"]?.text.flatMap { ServerID(hex: $0) }),
          sealedSecret: secret, joined: item["joined"]?.elements?.compactMap(\.text) ?? []))
    }
  }

  var encoded: [UInt8] {
    let items = tokens.map { token -> JSONValue in
      [
        "id": .string(token.record.id.description),
        "secret": .string(Base64.encode(token.sealedSecret)),
        "created": .integer(token.record.created.milliseconds),
        "expires": .integer(token.record.expires.milliseconds),
        "uses": token.record.uses.map { .integer(Int64($0)) } ?? .null,
        "used": .integer(Int64(token.record.usedCount)),
        "server": JSONValue(token.record.server?.description),
        "joined": .array(token.joined.map { .string($0) }),
      ]
    }
    let value: JSONValue = ["tokens": .array(items)]
    return Array(value.encoded.utf8)
  }

  /// Forgets what ended long ago.
  mutating func prune(now: Timestamp) {
    tokens.removeAll { $0.record.expires.advanced(byMilliseconds: Self.retention) < now }
  }
}
