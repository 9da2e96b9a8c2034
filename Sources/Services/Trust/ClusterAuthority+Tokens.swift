public import Base
import Crypto
import Metadata
import Runtime
import Sealing
import Telemetry

extension ClusterAuthority {
  /// Makes a join token, good for `lifetime` milliseconds (a minute to 30 days; a day when nil),
  /// for `uses` servers (1 to 1000; any number when nil), for new storage servers or for `server`
  /// alone, which may be one that the cluster knows. Shown this once: only its sealed form is kept.
  public func makeToken(
    lifetime: Int64? = nil, uses: Int? = nil, server: ServerID? = nil
  ) async throws -> (token: JoinToken, record: JoinTokenRecord) {
    let lifetime = lifetime ?? configuration.tokenLifetime
    guard (60_000...TrustConfiguration.maximumTokenLifetime).contains(lifetime) else {
      throw TrustError.malformed("a token is good for a minute to 30 days")
    }
    guard uses.map({ (1...TokenList.maximumUses).contains($0) }) ?? true else {
      throw TrustError.malformed("a token is for 1 to \(TokenList.maximumUses) servers")
    }
    _ = try await load()
    let token = JoinToken(
      id: JoinToken.ID(high: random.next(), low: random.next()),
      secret: random.bytes(JoinToken.secretByteCount))
    let now = clock.now
    let record = JoinTokenRecord(
      id: token.id, created: now, expires: now.advanced(byMilliseconds: lifetime), uses: uses,
      usedCount: 0, server: server)
    let sealed = keys.sealSecret(
      token.secret, context: Self.context(token.id), random: random.bytes)
    try await updateTokens { list throws(TrustError) in
      list.prune(now: now)
      guard list.tokens.count < TokenList.limit else {
        throw .conflict("there are too many tokens: revoke some")
      }
      list.tokens.append(TokenList.Token(record: record, sealedSecret: sealed, joined: []))
    }
    log.info("a join token was made", [("token", token.id.description)])
    return (token, record)
  }

  /// The tokens that are good or ended lately, oldest first.
  public func tokens() async throws -> [JoinTokenRecord] {
    let stored = try await settings.setting(TokenList.settingName)
    return try TokenList(parsing: stored).tokens.map(\.record)
  }

  /// Ends a token now. Throws `notFound`.
  public func revokeToken(_ id: JoinToken.ID) async throws {
    try await updateTokens { list throws(TrustError) in
      guard let index = list.tokens.firstIndex(where: { $0.record.id == id }) else {
        throw .notFound("there is no such token")
      }
      list.tokens.remove(at: index)
    }
    log.info("a join token was revoked", [("token", id.description)])
  }

  /// The secret of a token, and what is known of it; nil when there is no such token.
  func openToken(_ id: JoinToken.ID) async throws -> (secret: [UInt8], record: JoinTokenRecord)? {
    let stored = try await settings.setting(TokenList.settingName)
    guard let token = try TokenList(parsing: stored).tokens.first(where: { $0.record.id == id })
    else { return nil }
    do throws(SealingError) {
      return (try keys.openSecret(token.sealedSecret, context: Self.context(id)), token.record)
    } catch {
      throw TrustError.damaged("the secret of a token: \(error)")
    }
  }

  /// Counts that a key joins with a token. Throws `refused` when the token has ended or is used up.
  func useToken(_ id: JoinToken.ID, key: [UInt8]) async throws {
    let now = clock.now
    let fingerprint = Hex.encode(key)
    try await updateTokens { list throws(TrustError) in
      guard let index = list.tokens.firstIndex(where: { $0.record.id == id }),
        list.tokens[index].record.expires > now
      else { throw .refused("the token has expired or was revoked") }
      if list.tokens[index].joined.contains(fingerprint) { return }
      if let uses = list.tokens[index].record.uses {
        guard list.tokens[index].record.usedCount < uses else {
          throw .refused("the token is used up")
        }
        list.tokens[index].joined.append(fingerprint)
      }
      list.tokens[index].record.usedCount += 1
    }
  }

  private func updateTokens<R>(
    _ change: (inout TokenList) throws(TrustError) -> R
  ) async throws -> R {
    for _ in 0..<32 {
      let stored = try await settings.setting(TokenList.settingName)
      var list = try TokenList(parsing: stored)
      let result = try change(&list)
      if try await settings.replaceSetting(
        TokenList.settingName, expected: stored, with: list.encoded)
      {
        return result
      }
    }
    throw TrustError.conflict("others change the tokens at the same time")
  }

  private static func context(_ id: JoinToken.ID) -> [UInt8] {
    Array("cluster token ".utf8) + id.bytes
  }
}
