import Base

extension SQLMetadataStore {
  private enum SQL {
    static let page = SQLStatement(
      """
      SELECT key, modified_ms, etag, size, storage_class, owner_id, checksum_kind FROM objects
      WHERE bucket_id = $1 AND key >= $2 AND key < $3 AND live = 1 ORDER BY key LIMIT $4
      """)
  }

  /// Rows of one page at most, whatever is asked for.
  static let maximumPage = 10_000

  /// A page of current objects. Costs the same at any size of the bucket; a delimiter skips.
  public func list(_ request: ListRequest) async throws -> ListPage {
    let limit = min(request.limit, Self.maximumPage)
    guard limit > 0 else { return ListPage(rows: [], next: nil) }
    return try await driver.read { session in
      var scan = KeyScan(request, limit: limit)
      if !request.delimiter.isEmpty { try await session.snapshot() }
      while let step = scan.nextStep() {
        let rows = try await session.query(
          SQL.page,
          [
            .int(request.bucket.number), .bytes(step.start), .bytes(scan.end),
            .int(Int64(step.count)),
          ])
        try scan.take(rows, asked: step.count)
      }
      return scan.page
    }
  }
}

/// Walks along keys: plain ones in runs, those below a common prefix by a jump behind it.
struct KeyScan {
  private let prefixLength: Int
  private let delimiter: [UInt8]
  private let limit: Int
  private var start: [UInt8]
  private var isDone = false
  /// How many rows to ask for: one behind a common prefix, more in a run of plain keys.
  private var run: Int
  private var rows: [ListPage.Row] = []
  /// Behind every key that is asked for.
  let end: [UInt8]
  private var next: [UInt8]?

  init(_ request: ListRequest, limit: Int) {
    prefixLength = request.prefix.count
    delimiter = request.delimiter
    self.limit = limit
    end = KeyRange.behind(prefix: request.prefix)
    start = Self.start(
      prefix: request.prefix, delimiter: request.delimiter, after: request.after)
    run = request.delimiter.isEmpty ? limit + 1 : min(limit + 1, 64)
    rows.reserveCapacity(min(limit, 1000))
  }

  /// The first key that may be shown behind `after`, which is a key or a common prefix.
  static func start(prefix: [UInt8], delimiter: [UInt8], after: [UInt8]) -> [UInt8] {
    guard prefix.lexicographicallyPrecedes(after) || prefix == after else { return prefix }
    guard after.starts(with: prefix) else { return KeyRange.behind(key: after) }
    guard !after.isEmpty else { return prefix }
    let common = KeyRange.commonPrefix(of: after, from: prefix.count, delimiter: delimiter)
    // A common prefix that `after` is, or lies in, is not behind it.
    return common.map(KeyRange.behind(prefix:)) ?? KeyRange.behind(key: after)
  }

  /// What to ask the database for; nil when the page is done.
  mutating func nextStep() -> (start: [UInt8], count: Int)? {
    guard !isDone, start.lexicographicallyPrecedes(end) else { return nil }
    return (start, min(run, limit + 1 - rows.count))
  }

  /// Takes what the database gave for the last step.
  mutating func take(_ found: SQLRows, asked: Int) throws {
    var skipping: [UInt8]?
    for index in 0..<found.count {
      let row = found[index]
      let key = try row.bytes(0)
      if let common = skipping {
        if key.starts(with: common) { continue }
        skipping = nil
      }
      guard rows.count < limit else {
        // A row behind the last one of the page: there is another page.
        next = rows.last?.name
        isDone = true
        return
      }
      if let common = KeyRange.commonPrefix(of: key, from: prefixLength, delimiter: delimiter) {
        rows.append(.commonPrefix(common))
        skipping = common
        start = KeyRange.behind(prefix: common)
      } else {
        rows.append(.object(try Self.object(row, key: key)))
        start = KeyRange.behind(key: key)
      }
    }
    if found.count < asked { isDone = true }
    // Few rows are read only to be skipped; runs of plain keys grow again at once.
    run = skipping == nil ? min(limit + 1, run * 4) : 2
  }

  private static func object(_ row: SQLRow, key: [UInt8]) throws -> ListedObject {
    let checksum = try ChecksumKind.unpack(try row.int(6))
    return ListedObject(
      key: key, lastModified: try row.time(1), etag: try row.text(2), size: try row.int(3),
      storageClass: try row.text(4), owner: UserID(try row.int(5)),
      checksumAlgorithm: checksum.algorithm, checksumIsComposite: checksum.isComposite)
  }

  /// What was found.
  var page: ListPage { ListPage(rows: rows, next: next) }
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
