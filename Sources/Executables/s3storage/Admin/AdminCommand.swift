import AdminAPI
import Base

/// `s3storage admin …`: what an operator does to a running server, and the restore of its metadata.
enum AdminCommand {
  static let usage = """
    s3storage admin [options] COMMAND

      users create NAME [--email MAIL] [--admin]   make a user
      users list                                   all users
      users disable NAME                           refuse a user's keys
      users enable NAME                            admit them again
      keys create USER [--access-key K --secret-key S] [--expires TIME] [--note TEXT]
                                                   make a key, random unless it is given; TIME is
                                                   2026-12-31T00:00:00Z, or 12h, or 30d from now
      keys list [USER]                             all keys, or a user's
      keys revoke ACCESS_KEY                       refuse a key for good
      status                                       stores, space, counts, what can be lost
      workers                                      the background workers
      servers list                                 the storage servers of a cluster
      servers drain|undrain SERVER                 empty a server; have it take writes again
      servers remove SERVER [--force]              a drained server leaves; by force any
      servers weight SERVER N                      its share of the data, 1 to 10000; 100 is usual
      servers replace SERVER NEW                   a new server takes the place of a lost one
      servers lost SERVER                          have its chunks made again elsewhere now
      stores weight STORE N                        the same for one store
      stores replace STORE NEW                     a disk was replaced
      scrub [--no-wait]                            verify every chunk and repair
      backup FILE [--force]                        copy the metadata of the running server to FILE
      restore FILE --data-dir DIR                  put a copy back; the server is stopped; the
                                                   database there is kept beside it
      snapshot                                     put a snapshot of the metadata into the stores
      recovery                                     what would be lost with the database
      reconcile                                    compare every chunk with the metadata
      quarantine list                              what only chunks know of
      quarantine adopt EXTENT [--bucket B] [--key K] [--replace]
      quarantine drop EXTENT                       make an object of it, or delete its chunks
      rebuild-metadata --data-dir DIR [--drives DIRS] [--master-key-file FILE]
                                                   make the metadata again out of the stores; the
                                                   server is stopped
      rebuild-metadata --database-url URL --data-dir GATEWAY_DIR [--servers ID@HOST:PORT,…]
                                                   the same for a cluster, into an empty database
      key export [FILE]                            the master key, to FILE or standard output
      key rotate                                   put a new master key in force

    Options:
      --endpoint URL      the Admin API; else S3STORAGE_ENDPOINT or ADMIN_ENDPOINT; else
                          http://127.0.0.1:9001
      --access-key K      an administrator's key; else ROOT_ACCESS_KEY or AWS_ACCESS_KEY_ID
      --secret-key S      its secret; else ROOT_SECRET_KEY or AWS_SECRET_ACCESS_KEY
      --ca-file FILE      authorities that vouch for an https endpoint, in PEM; else ADMIN_CA_FILE;
                          else those of the system
      --json              answers as JSON
    With keys create, the options of the administrator stand before the command.

    """

  /// Runs one command; the exit status: 0 done, 1 failed, 2 not understood.
  nonisolated static func run(
    arguments: [String], environment: [String: String]
  ) async -> Int32 {
    do {
      let line = try AdminArguments(arguments, environment: environment)
      if line.words.isEmpty || line.words == ["help"] || line.isHelp {
        Terminal.out(usage)
        return line.words.isEmpty && !line.isHelp ? 2 : 0
      }
      return try await dispatch(line)
    } catch let error as AdminUsageError {
      Terminal.err("s3storage admin: \(error.reason)\n\n\(usage)")
      return 2
    } catch {
      Terminal.err("s3storage admin: \(error)\n")
      return 1
    }
  }

  private static func dispatch(_ line: AdminArguments) async throws -> Int32 {
    let words = line.words
    switch (words[0], words.count > 1 ? words[1] : "") {
    case ("users", "create"): return try await createUser(line)
    case ("users", "list"): return try await listUsers(line)
    case ("users", "disable"), ("users", "enable"): return try await changeUser(line)
    case ("keys", "create"): return try await createKey(line)
    case ("keys", "list"): return try await listKeys(line)
    case ("keys", "revoke"): return try await revokeKey(line)
    case ("servers", "list"): return try await listServers(line)
    case ("servers", "drain"), ("servers", "undrain"), ("servers", "lost"):
      return try await orderServer(line)
    case ("servers", "remove"): return try await removeServer(line)
    case ("servers", "weight"), ("stores", "weight"): return try await setWeight(line)
    case ("servers", "replace"), ("stores", "replace"): return try await replaceMember(line)
    case ("status", _): return try await status(line)
    case ("workers", _): return try await workers(line)
    case ("scrub", _): return try await scrub(line)
    case ("backup", _): return try await backup(line)
    case ("restore", _): return try await restore(line)
    case ("snapshot", _): return try await snapshot(line)
    case ("recovery", _): return try await recovery(line)
    case ("reconcile", _): return try await reconcile(line)
    case ("quarantine", "list"): return try await listQuarantine(line)
    case ("quarantine", "adopt"): return try await adopt(line)
    case ("quarantine", "drop"): return try await drop(line)
    case ("rebuild-metadata", _): return try await rebuildMetadata(line)
    case ("key", "export"): return try await exportKey(line)
    case ("key", "rotate"): return try await rotateKey(line)
    default:
      throw AdminUsageError("unknown command \(words.prefix(2).joined(separator: " "))")
    }
  }

  /// Writes the server's answer for scripts, or what `human` makes of it.
  static func show(_ answer: JSONValue, _ line: AdminArguments, human: () -> String) {
    Terminal.out(line.isJSON ? answer.encoded + "\n" : human())
  }
}

/// A command line that cannot be understood.
struct AdminUsageError: Error {
  let reason: String

  init(_ reason: String) {
    self.reason = reason
  }
}

/// A command that failed, for the person who typed it.
struct AdminFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}
