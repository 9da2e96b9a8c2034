import Foundation
import Runtime
import Synchronization

/// A real PostgreSQL server in a directory of its own, reached through a socket in that directory.
///
/// It ends with the process that made it, however that ends: a shell waits at the other end of a
/// pipe, stops the server and removes the directory.
public final class PostgresServer: Sendable {
  /// Why a server did not start.
  public struct Failure: Error, CustomStringConvertible {
    /// What its scripts said.
    public let description: String
  }

  /// Where Debian keeps the server's programs.
  private static let programs = "/usr/lib/postgresql/15/bin"

  /// Whether the server's programs are on this machine.
  public static let isInstalled = access(programs + "/initdb", X_OK) == 0

  /// The one that tests share; each makes databases of its own in it.
  public static let shared: Task<PostgresServer, any Error> = Task.detached {
    try PostgresServer()
  }

  /// Where its socket is.
  public let directory: String
  private let input: Pipe
  private let output: Pipe
  private let conversation = Mutex(())

  /// Makes a database cluster and starts a server on it, in about a second.
  public init() throws {
    let memory = "/dev/shm"
    let parent = access(memory, W_OK) == 0 ? memory : "/tmp"
    directory = parent + "/s3storage-pg-" + String(SystemRandom().next(), radix: 16)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", Self.script, "sh", directory, Self.programs]
    input = Pipe()
    output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let text = Self.line(output)
    guard text.hasPrefix("ready") else { throw Failure(description: "no server: \(text)") }
  }

  /// The URL of a database in it.
  public func url(_ database: String) -> String {
    "postgresql:///\(database)?host=\(directory)&user=postgres"
  }

  /// Stops the server as a crash would, and starts it again.
  public func crashAndRestart() throws {
    try control("restart")
  }

  /// Stops the server as a crash would.
  public func crash() throws { try control("stop") }

  /// Starts the server after a crash.
  public func start() throws { try control("start") }

  /// Has the shell do it, and waits until it is done.
  private func control(_ command: String) throws {
    try conversation.withLock { _ in
      try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
      let answer = Self.line(output)
      guard answer == "0" else { throw Failure(description: "\(command) failed: \(answer)") }
    }
  }

  private static func line(_ output: Pipe) -> String {
    var text = ""
    while !text.contains("\n") {
      let data = output.fileHandleForReading.availableData
      if data.isEmpty { break }
      text += String(decoding: data, as: UTF8.self)
    }
    return String(text.prefix { $0 != "\n" })
  }

  private static let preamble = """
    dir=$1; bin=$2; shift 2
    if [ "$(id -u)" = 0 ]; then
      as() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }
    else
      as() { "$@"; }
    fi
    cd /

    """

  private static let script =
    preamble + """
      trap '' INT TERM HUP
      mkdir -m 700 "$dir" && as true || exit 1
      [ "$(id -u)" = 0 ] && chown postgres:postgres "$dir"
      as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N \
        >"$dir/log" 2>&1 || { tail -n 1 "$dir"/*log; exit 1; }
      cat >>"$dir/data/postgresql.conf" <<END
      listen_addresses = ''
      unix_socket_directories = '$dir'
      max_connections = 400
      shared_buffers = 64MB
      max_wal_size = 256MB
      deadlock_timeout = 100ms
      dynamic_shared_memory_type = mmap
      END
      as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/server.log" start >/dev/null 2>&1 \
        || { tail -n 1 "$dir"/*log; exit 1; }
      echo ready
      while read -r command; do
        as "$bin/pg_ctl" -D "$dir/data" -w -m immediate -l "$dir/server.log" "$command" \
          >/dev/null 2>&1
        echo $?
      done
      as "$bin/pg_ctl" -D "$dir/data" -w -m fast stop >/dev/null 2>&1
      rm -rf "$dir"
      """
}
