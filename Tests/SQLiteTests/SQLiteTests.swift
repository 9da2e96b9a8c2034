import Foundation
import SQLite
import TestSupport
import Testing

@Suite("The SQLite wrapper")
struct SQLiteTests {
  private func path() -> String {
    NSTemporaryDirectory() + "s3storage-sqlite-" + UUID().uuidString
  }

  private func remove(_ path: String) {
    for suffix in ["", "-wal", "-shm", ".lock", ".copy"] {
      try? FileManager.default.removeItem(atPath: path + suffix)
    }
  }

  @Test("values of every kind come back as they were bound")
  func values() throws {
    let path = path()
    defer { remove(path) }
    let connection = try Connection(path: path, mode: .readWrite)
    try connection.execute("CREATE TABLE t(a, b, c, d)")
    let insert = try connection.prepare("INSERT INTO t VALUES($1, $2, $3, $4)")
    #expect(insert.parameterCount == 4 && insert.parameterName(at: 3) == "$3")
    #expect(!insert.isReadOnly)
    let bytes: [UInt8] = [0, 255, 1]
    for (number, data, text) in [
      (Int64.min, bytes, "grün\0x"), (Int64.max, [], ""), (0, [7], "plain"),
    ] {
      try insert.bind(number, at: 1)
      try insert.bind(data, at: 2)
      try insert.bind(text, at: 3)
      try insert.bindNull(at: 4)
      #expect(try !insert.step())
      insert.reset()
      #expect(connection.changes == 1)
    }
    let select = try connection.cached("SELECT a, b, c, d FROM t")
    #expect(select.isReadOnly && select.columnCount == 4)
    #expect(try select.step())
    #expect(select.integer(at: 0) == .min)
    #expect(select.bytes(at: 1) == bytes)
    #expect(select.text(at: 2) == "grün\0x")
    #expect(select.kind(at: 3) == .null)
    #expect(try select.step())
    #expect(select.kind(at: 1) == .bytes && select.bytes(at: 1).isEmpty)
    #expect(select.kind(at: 2) == .text && select.text(at: 2).isEmpty)
    #expect(try select.step())
    #expect(try !select.step())
    select.reset()
    #expect(try connection.cached("SELECT a, b, c, d FROM t") === select)
  }

  @Test("errors carry their code and no data")
  func errors() throws {
    let path = path()
    defer { remove(path) }
    #expect {
      _ = try Connection(path: path, mode: .readOnly)
    } throws: { ($0 as? SQLiteError)?.isStorageFailure == true }
    let connection = try Connection(path: path, mode: .readWrite)
    try connection.execute("CREATE TABLE t(secret TEXT PRIMARY KEY)")
    let insert = try connection.prepare("INSERT INTO t VALUES('hidden')")
    #expect(try !insert.step())
    insert.reset()
    #expect {
      _ = try insert.step()
    } throws: { error in
      guard let error = error as? SQLiteError else { return false }
      return error.isConstraintViolation && error.extendedCode != error.code
        && !error.message.contains("hidden")
    }
    insert.reset()
    #expect(throws: SQLiteError.self) { try insert.bind(Int64(1), at: 9) }
    #expect(throws: SQLiteError.self) { _ = try connection.prepare("SELEC") }
    #expect(throws: SQLiteError.self) { _ = try connection.prepare("") }
    #expect(throws: SQLiteError.self) { try connection.execute("SELECT \"no such column\"") }
  }

  @Test("a checkpoint empties the log, and leaves what a reader needs")
  func checkpoint() throws {
    let path = path()
    defer { remove(path) }
    let connection = try Connection(path: path, mode: .readWrite)
    try connection.useWriteAheadLog(synchronous: .full, sizeLimit: 1 << 20)
    try connection.execute("CREATE TABLE t(a)")
    let reader = try Connection(path: path, mode: .readOnly)
    try reader.execute("BEGIN")
    #expect(try reader.number("SELECT count(*) FROM t") == 0)
    for _ in 0..<20 { try connection.execute("INSERT INTO t VALUES(zeroblob(4096))") }
    #expect(connection.logPages > 20)
    let blocked = try connection.checkpoint(.restart)
    #expect(blocked.copiedPages < connection.logPages)
    #expect(try reader.number("SELECT count(*) FROM t") == 0)
    try reader.execute("COMMIT")
    #expect(try reader.number("SELECT count(*) FROM t") == 20)
    let cut = try connection.checkpoint(.truncate)
    #expect(cut.logPages == 0)
    #expect(try connection.quickCheck().isEmpty)
  }

  @Test("a backup in small steps has what was written meanwhile")
  func backup() throws {
    let path = path()
    defer { remove(path) }
    let connection = try Connection(path: path, mode: .readWrite)
    try connection.execute("CREATE TABLE t(a)")
    for _ in 0..<30 { try connection.execute("INSERT INTO t VALUES(zeroblob(4000))") }
    do {
      let target = try Connection(path: path + ".copy", mode: .readWrite)
      let backup = try Backup(from: connection, to: target)
      var steps = 0
      while try !backup.step(pages: 4) {
        steps += 1
        if steps == 3 { try connection.execute("INSERT INTO t VALUES(1)") }
      }
      #expect(steps > 5 && backup.remainingPages == 0)
    }
    let copy = try Connection(path: path + ".copy", mode: .readOnly)
    #expect(try copy.number("SELECT count(*) FROM t") == 31)
    #expect(try copy.quickCheck().isEmpty)
  }

  @Test("a file that was let go of has no owner, whoever has a descriptor of its lock for a moment")
  func release() throws {
    let path = path()
    defer { remove(path) }
    let copy: DescriptorCopy?
    do {
      let owner = try DatabaseFile(path: path)
      copy = DescriptorCopy(of: owner.path + ".lock")
    }
    #expect(copy != nil)
    _ = try DatabaseFile(path: path)
    withExtendedLifetime(copy) {}
  }

  @Test("a file has one owner")
  func ownership() throws {
    let path = path()
    defer { remove(path) }
    do {
      let owner = try DatabaseFile(path: path)
      #expect(throws: DatabaseFile.Failure.inUse) { _ = try DatabaseFile(path: path) }
      _ = owner.path
    }
    _ = try DatabaseFile(path: path)
    #expect(throws: DatabaseFile.Failure.system(ENOENT)) {
      _ = try DatabaseFile(path: "/nowhere/at/all")
    }
  }

  @Test("a line of work keeps its order, its bounds and what was in it at the end")
  func line() throws {
    let queue = WorkQueue<Int>()
    for number in 0..<10 { #expect(queue.add(number, weight: number)) }
    func take(_ limit: Int, _ weight: Int) -> [Int]? {
      guard case .work(let items) = queue.take(limit: limit, weightLimit: weight, milliseconds: 1)
      else { return nil }
      return items
    }
    #expect(take(3, 100) == [0, 1, 2])
    #expect(take(100, 7) == [3, 4])
    // One that is too heavy alone is taken alone.
    #expect(take(100, 1) == [5])
    queue.close()
    #expect(!queue.add(11, weight: 1))
    #expect(take(100, 100) == [6, 7, 8, 9])
    guard case .closed = queue.take(limit: 1, weightLimit: 1, milliseconds: nil) else {
      Issue.record("a closed line gives more")
      return
    }
    let empty = WorkQueue<Int>()
    guard case .nothing = empty.take(limit: 1, weightLimit: 1, milliseconds: 1) else {
      Issue.record("an empty line gives something")
      return
    }
  }
}
