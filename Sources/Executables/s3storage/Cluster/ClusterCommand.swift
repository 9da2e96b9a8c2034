import Base
import Crypto
import Metadata
import Runtime
import Telemetry
import Trust

/// `s3storage cluster …`: the trust between gateways and storage servers.
enum ClusterCommand {
  /// Has `body` use the authority of the cluster, over the database and the master key that the
  /// environment names.
  typealias Opening =
    @Sendable (_ body: @Sendable (ClusterAuthority) async throws -> Void) async throws -> Void

  static let usage = """
    s3storage cluster COMMAND

      init [--expires TIME]        make the cluster's certificate authority unless it is there, and
                                   a join token
      token [--expires TIME] [--uses N] [--server ID]
                                   make another token: for N servers, or for one that is known
      token list                   tokens that are good or ended lately
      token revoke ID              end a token
      rotate-ca                    a new authority signs; the old one is trusted still
      rotate-ca --retire [--force] end the trust in the old ones; refused while a gateway or a
                                   storage server still goes by one: --force cuts such off
      restored                     the database was put back from a backup: before gateways start
      join --gateway URL --token T --data-dir DIR --advertise HOST:PORT
           [--zone Z] [--weight N] [--ca-file FILE] [--new-key]
                                   get a certificate for the storage server of DIR; URL is the
                                   Admin API of a gateway, several are separated by commas

    All but join work with the database and the master key of the cluster (DATABASE_URL,
    MASTER_KEY_FILE), as a gateway does. TIME is 2026-12-31T00:00:00Z, or 12h, or 30d from now; 24h
    by default. The token may stand in JOIN_TOKEN, so that no list of processes shows it.

    Options:
      --json           answers as JSON
      --ca-file FILE   authorities that vouch for an https gateway, in PEM; else ADMIN_CA_FILE;
                       else those of the system

    """

  /// Runs one command; the exit status: 0 done, 1 failed, 2 not understood.
  nonisolated static func run(
    arguments: [String], environment: [String: String], opening: Opening
  ) async -> Int32 {
    do {
      let line = try ClusterArguments(arguments, environment: environment)
      if line.words.isEmpty || line.words == ["help"] || line.has("--help") {
        Terminal.out(usage)
        return line.words.isEmpty && !line.has("--help") ? 2 : 0
      }
      try await dispatch(line, opening)
      return 0
    } catch let error as AdminUsageError {
      Terminal.err("s3storage cluster: \(error.reason)\n\n\(usage)")
      return 2
    } catch {
      Terminal.err("s3storage cluster: \(error)\n")
      return 1
    }
  }

  private static func dispatch(_ line: ClusterArguments, _ opening: Opening) async throws {
    switch (line.words[0], line.words.count > 1 ? line.words[1] : "") {
    case ("init", ""):
      try line.expect(words: 1, ["--expires"])
      let lifetime = try lifetime(line)
      try await opening { authority in
        let isNew = try await authority.initialize()
        try await showNewToken(line, authority, lifetime: lifetime, isNew: isNew)
      }
    case ("token", ""):
      try line.expect(words: 1, ["--expires", "--uses", "--server"])
      let lifetime = try lifetime(line)
      try await opening { try await showNewToken(line, $0, lifetime: lifetime, isNew: nil) }
    case ("token", "list"):
      try line.expect(words: 2)
      try await opening { try await listTokens(line, $0) }
    case ("token", "revoke"):
      try line.expect(words: 3)
      guard let id = JoinToken.ID(hex: line.words[2]) else {
        throw AdminUsageError("a token's ID has 32 hexadecimal digits")
      }
      try await opening { try await $0.revokeToken(id) }
      show(line, ["revoked": .string(id.description)], "revoked \(id)\n")
    case ("rotate-ca", ""):
      try line.expect(words: 1, ["--retire", "--force"])
      guard line.has("--retire") || !line.has("--force") else {
        throw AdminUsageError("--force goes with --retire")
      }
      try await opening { try await rotate(line, $0) }
    case ("join", ""): try await join(line)
    default:
      throw AdminUsageError("unknown command \(line.words.prefix(2).joined(separator: " "))")
    }
  }

  // MARK: Commands of the cluster

  private static func lifetime(_ line: ClusterArguments) throws -> Int64? {
    guard let text = line.value("--expires") else { return nil }
    let now = SystemWallClock().now
    guard let time = AdminCommand.expiry(text, now: now) else {
      throw AdminUsageError("--expires is 2026-12-31T00:00:00Z, or 12h, or 30d")
    }
    return time.milliseconds - now.milliseconds
  }

  private static func showNewToken(
    _ line: ClusterArguments, _ authority: ClusterAuthority, lifetime: Int64?, isNew: Bool?
  ) async throws {
    var server: ServerID?
    if let text = line.value("--server") {
      guard let id = ServerID(hex: text) else {
        throw AdminUsageError("--server is 32 hexadecimal digits, as admin status shows them")
      }
      server = id
    }
    let (token, record) = try await authority.makeToken(
      lifetime: lifetime, uses: try line.number("--uses", 1...1000), server: server)
    let value: JSONValue = [
      "cluster_id": .string(authority.cluster.description), "token": .string(token.text),
      "id": .string(token.id.description), "expires_at": .string(record.expires.iso8601),
    ]
    var text = ""
    if let isNew {
      text += "cluster \(authority.cluster): "
      text += isNew ? "a certificate authority was made\n" : "it has a certificate authority\n"
    }
    text += "join token, shown this once, good until \(record.expires.iso8601):\n"
    show(line, value, text + "  \(token.text)\n")
  }

  private static func listTokens(
    _ line: ClusterArguments, _ authority: ClusterAuthority
  ) async throws {
    let now = SystemWallClock().now
    let tokens = try await authority.tokens()
    let value = tokens.map { token -> JSONValue in
      [
        "id": .string(token.id.description), "expires_at": .string(token.expires.iso8601),
        "uses": token.uses.map { .integer(Int64($0)) } ?? .null,
        "used": .integer(Int64(token.usedCount)), "server_id": JSONValue(token.server?.description),
      ]
    }
    show(
      line, ["tokens": .array(value)],
      TextTable.make(
        ["TOKEN", "STATUS", "EXPIRES", "USES", "USED", "SERVER"],
        tokens.map { token in
          [
            token.id.description, token.expires > now ? "active" : "expired",
            token.expires.iso8601, token.uses.map { "\($0)" } ?? "any", "\(token.usedCount)",
            token.server?.description ?? "any new one",
          ]
        }))
  }

  private static func rotate(
    _ line: ClusterArguments, _ authority: ClusterAuthority
  ) async throws {
    if line.has("--retire") {
      if line.has("--force") {
        Terminal.err(
          "WARNING: whoever still goes by an old authority is cut off NOW, and has to join anew.\n")
      }
      let count = try await authority.retireOldAuthorities(isForced: line.has("--force"))
      show(line, ["retired": .integer(Int64(count))], "\(count) old authorities ended\n")
    } else {
      let count = try await authority.rotate()
      show(
        line, ["authorities": .integer(Int64(count))],
        "a new certificate authority signs; \(count) are trusted\n"
          + "when all members have renewed, in some minutes: s3storage cluster rotate-ca --retire\n"
      )
    }
  }

  // MARK: A storage server

  private static func join(_ line: ClusterArguments) async throws {
    try line.expect(
      words: 1,
      [
        "--gateway", "--token", "--data-dir", "--advertise", "--zone", "--weight", "--ca-file",
        "--new-key",
      ])
    guard let token = JoinToken(text: try line.required("--token", "JOIN_TOKEN")) else {
      throw AdminUsageError("that is no join token: is it complete?")
    }
    let settings = JoinSettings(
      gateways: try line.required("--gateway", "GATEWAY_URL").split(separator: ",").map(
        String.init),
      advertise: try line.required("--advertise", "ADVERTISE_ADDRESS"),
      zone: line.value("--zone", "ZONE") ?? "",
      weight: try line.number("--weight", 1...10_000) ?? 100)
    guard StorageServerRegistration.isZone(settings.zone) else {
      throw AdminUsageError("--zone is of at most 64 letters, digits and signs, without blanks")
    }
    guard StorageServerRegistration.isAddress(settings.advertise) else {
      throw AdminUsageError("--advertise is HOST:PORT, where gateways reach the storage server")
    }
    let directory = ClusterDirectory(dataDirectory: try line.required("--data-dir", "DATA_DIR"))
    let enrolment = try Enrolment(
      directory: directory, gateways: settings.gateways,
      trust: try TLSTrust(caFile: line.value("--ca-file", "ADMIN_CA_FILE")),
      pool: ThreadPool(name: "enrolment", threadCount: 1), log: Log.none)
    try await enrolment.join(token: token, withNewKey: line.has("--new-key"))
    try settings.save(directory)
    let server = try directory.serverID(random: SystemRandom())
    let cluster = try directory.clusterID()?.description
    show(
      line, ["server_id": .string(server.description), "cluster_id": JSONValue(cluster)],
      "storage server \(server) has joined cluster \(cluster ?? "")\n")
  }

  /// Writes JSON for scripts, or text for people.
  private static func show(_ line: ClusterArguments, _ value: JSONValue, _ text: String) {
    Terminal.out(line.isJSON ? value.encoded + "\n" : text)
  }
}
