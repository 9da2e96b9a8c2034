import Base

/// Walks along the current keys of a bucket, as few rows at a time as it can.
///
/// Plain keys are read in runs, in the order in which they are stored. Keys below a common prefix
/// that was shown are jumped over: a seek goes to the next live key behind them and reads nothing
/// but that key. Where most keys are deleted, runs go along the index of live keys.
struct KeyScan {
  /// What to ask the database for.
  enum Step {
    /// So many keys from `start` on, with what a list shows of them; deleted ones are included
    /// unless `isSparse`.
    case run(start: [UInt8], count: Int, isSparse: Bool)
    /// The first live key from `start` on.
    case seek(start: [UInt8])
  }

  private static let shortestRun = 8
  /// What it costs at most to find out that most keys are deleted.
  private static let firstRun = 256

  private let prefixLength: Int
  private let delimiter: [UInt8]
  private let limit: Int
  private var start: [UInt8]
  private var isDone = false
  private var seeks = false
  private var isSparse = false
  private var runLength: Int
  private var rows: [ListPage.Row] = []
  private var next: [UInt8]?
  /// Behind every key that is asked for.
  let end: [UInt8]

  init(_ request: ListRequest, limit: Int) {
    prefixLength = request.prefix.count
    delimiter = request.delimiter
    self.limit = limit
    end = KeyRange.behind(prefix: request.prefix)
    start = Self.start(
      prefix: request.prefix, delimiter: request.delimiter, after: request.after)
    runLength = request.delimiter.isEmpty ? min(limit + 1, Self.firstRun) : Self.shortestRun
    rows.reserveCapacity(min(limit, 1000))
  }

  /// The first key that may be shown behind `after`, which is a key or a common prefix.
  static func start(prefix: [UInt8], delimiter: [UInt8], after: [UInt8]) -> [UInt8] {
    if after.isEmpty || after.lexicographicallyPrecedes(prefix) { return prefix }
    guard after.starts(with: prefix) else { return KeyRange.behind(key: after) }
    let common = KeyRange.commonPrefix(of: after, from: prefix.count, delimiter: delimiter)
    // A common prefix that `after` is, or lies in, is not behind it.
    return common.map(KeyRange.behind(prefix:)) ?? KeyRange.behind(key: after)
  }

  /// What was found.
  var page: ListPage { ListPage(rows: rows, next: next) }

  /// What to ask for; nil when the page is done.
  mutating func nextStep() -> Step? {
    guard !isDone, start.lexicographicallyPrecedes(end) else { return nil }
    if seeks { return .seek(start: start) }
    return .run(start: start, count: min(runLength, limit + 1 - rows.count), isSparse: isSparse)
  }

  /// Takes the key that a seek found, nil when it found none.
  mutating func takeSeek(_ key: [UInt8]?) {
    guard let key else {
      isDone = true
      return
    }
    start = key
    guard !isFull() else { return }
    if let common = KeyRange.commonPrefix(of: key, from: prefixLength, delimiter: delimiter) {
      show(common)
    } else {
      seeks = false
    }
  }

  /// Takes the rows of a run: key, live, and what `object` reads.
  mutating func takeRun(_ found: SQLRows, asked: Int) throws {
    var deleted = 0
    for index in 0..<found.count {
      let row = found[index]
      let key = try row.bytes(0)
      start = KeyRange.behind(key: key)
      guard try row.int(1) == 1 else {
        deleted += 1
        continue
      }
      if isFull() { return }
      if let common = KeyRange.commonPrefix(of: key, from: prefixLength, delimiter: delimiter) {
        // The rest of the run may well lie below it; a seek is cheaper than finding out.
        return show(common)
      }
      rows.append(.object(try Self.object(row, key: key)))
    }
    if found.count < asked { isDone = true }
    // Once a run was mostly deleted keys, the rest of the page is taken to be like it.
    if deleted > found.count / 2 { isSparse = true }
    runLength = min(limit + 1, runLength * 4)
  }

  /// Ends the page when a live key is found that has no place in it.
  private mutating func isFull() -> Bool {
    guard rows.count >= limit else { return false }
    next = rows.last?.name
    isDone = true
    return true
  }

  private mutating func show(_ common: [UInt8]) {
    rows.append(.commonPrefix(common))
    start = KeyRange.behind(prefix: common)
    seeks = true
    runLength = Self.shortestRun
  }

  private static func object(_ row: SQLRow, key: [UInt8]) throws -> ListedObject {
    let checksum = try ChecksumKind.unpack(try row.int(7))
    return ListedObject(
      key: key, lastModified: try row.time(2), etag: try row.text(3), size: try row.int(4),
      storageClass: try row.text(5), owner: UserID(try row.int(6)),
      checksumAlgorithm: checksum.algorithm, checksumIsComposite: checksum.isComposite)
  }
}

extension ListPage.Row {
  /// The key or common prefix.
  var name: [UInt8] {
    switch self {
    case .object(let object): object.key
    case .commonPrefix(let prefix): prefix
    }
  }
}
