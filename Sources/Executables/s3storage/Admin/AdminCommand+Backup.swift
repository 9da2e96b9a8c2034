import Base
import Disk
import Glibc

extension AdminCommand {
  private static let fileKind: DiskPath.Kind = "backup"

  /// Copies the metadata of a running server to a file, which appears under its name only when it
  /// is whole and durable.
  static func backup(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 1, options: ["--force"])
    let client = try line.client()
    let size = try writeWhole(to: line.word(1), replacing: line.has("--force")) { append in
      try client.download("backup", to: append)
    }
    show(["file": .string(line.word(1)), "bytes": .integer(Int64(size))], line) {
      "metadata copied to \(line.word(1)), \(TextTable.bytes(Int64(size)))\n"
    }
    return 0
  }

  /// Puts a copy of the metadata back into the data directory of a stopped server.
  static func restore(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(1...1, after: 1, options: ["--data-dir"])
    guard let directory = line.value("--data-dir") ?? line.variable("DATA_DIR") else {
      throw AdminUsageError("restore needs --data-dir")
    }
    let kept = try await MetadataRestore(
      dataDirectory: directory, masterKeyFile: line.variable("MASTER_KEY_FILE")
    ).run(from: line.word(1))
    show(["data_dir": .string(directory), "kept": JSONValue(kept)], line) {
      "metadata restored in \(directory)\n"
        + (kept.map { "the metadata that was there is kept in \($0)\n" } ?? "")
        + "objects written after the backup are not in it; their chunks are kept\n"
    }
    return 0
  }

  /// The master key, to a file that only its owner can read or to standard output.
  static func exportKey(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...1, after: 2, options: ["--force"])
    let client = try line.client()
    guard line.words.count > 2 else {
      let answer = try client.call("GET", "master-key")
      show(answer, line) { answer["master_key"]?.text ?? "" }
      return 0
    }
    let path = line.word(2)
    _ = try writeWhole(to: path, replacing: line.has("--force")) { append in
      guard let text = try client.call("GET", "master-key")["master_key"]?.text else {
        throw AdminFailure("the server's answer holds no key")
      }
      try append(Array(text.utf8))
      return text.utf8.count
    }
    show(["file": .string(path)], line) {
      "the master key is in \(path): keep it apart from the data\n"
    }
    return 0
  }

  /// Puts a new master key in force.
  static func rotateKey(_ line: AdminArguments) async throws -> Int32 {
    try line.expect(0...0, after: 2)
    let answer = try line.client().call("POST", "master-key/rotate")
    show(answer, line) {
      "a new master key is in force: export it, and make a new backup of the metadata\n"
    }
    return 0
  }

  /// Has `produce` write a file under a passing name, makes it durable and gives it its name.
  /// Refuses to replace a file unless told to. Returns what `produce` returns.
  private static func writeWhole(
    to path: String, replacing: Bool, _ produce: (([UInt8]) throws -> Void) throws -> Int
  ) throws -> Int {
    let files = SystemFileSystem()
    let target = DiskPath(path, kind: fileKind)
    if !replacing, (try? files.status(target)) != nil {
      throw AdminFailure("\(path) is there already; --force replaces it")
    }
    let slash = path.lastIndex(of: "/")
    let parent = DiskPath(
      slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".", kind: fileKind)
    let partial = DiskPath(path + ".partial", kind: fileKind)
    try? files.delete(partial)
    do {
      let handle = try files.open(partial, FileMode(.create))
      // Before anything is in it: both kinds of file are for their owner alone.
      guard unsafe partial.text.withCString({ unsafe Glibc.chmod($0, 0o600) }) == 0 else {
        throw AdminFailure("\(path) cannot be made readable to its owner only")
      }
      var offset = 0
      let result = try produce { bytes in
        try unsafe bytes.withUnsafeBytes { try unsafe handle.write([$0], at: offset) }
        offset += bytes.count
      }
      try handle.syncData()
      try files.rename(partial, to: target)
      try files.syncDirectory(parent)
      return result
    } catch {
      try? files.delete(partial)
      throw error
    }
  }
}
