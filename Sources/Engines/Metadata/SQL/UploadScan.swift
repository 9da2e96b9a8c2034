import Base

/// Walks along uploads by key and id, as `KeyScan` does along keys.
struct UploadScan {
  private let prefixLength: Int
  private let delimiter: [UInt8]
  private let limit: Int
  private var start: [UInt8]
  /// Uploads of the key `start` up to this id were shown; those of other keys are all behind.
  private var afterID: Int64 = 0
  private var isDone = false
  private var last: (key: [UInt8], upload: OpaqueID?)?
  private(set) var page = UploadPage(
    uploads: [], commonPrefixes: [], nextKey: nil, nextUpload: nil)
  /// Behind every key that is asked for.
  let end: [UInt8]

  init(_ request: UploadListRequest, limit: Int) {
    prefixLength = request.prefix.count
    delimiter = request.delimiter
    self.limit = limit
    end = KeyRange.behind(prefix: request.prefix)
    isDone = limit <= 0
    start = KeyScan.start(
      prefix: request.prefix, delimiter: request.delimiter, after: request.afterKey)
    // An upload marker goes on inside its key, unless a common prefix hides that key.
    if let upload = request.afterUpload, request.afterKey.starts(with: request.prefix),
      KeyRange.commonPrefix(
        of: request.afterKey, from: prefixLength, delimiter: delimiter) == nil
    {
      start = request.afterKey
      afterID = upload.number.rawValue
    }
  }

  mutating func nextStep() -> (start: [UInt8], afterID: Int64, count: Int)? {
    guard !isDone, start.lexicographicallyPrecedes(end) else { return nil }
    return (start, afterID, limit + 1 - shown)
  }

  private var shown: Int { page.uploads.count + page.commonPrefixes.count }

  mutating func take(_ found: SQLRows, asked: Int) throws {
    var skipping: [UInt8]?
    for index in 0..<found.count {
      let row = found[index]
      let key = try row.bytes(3)
      if let common = skipping {
        if key.starts(with: common) { continue }
        skipping = nil
      }
      guard shown < limit else {
        page.nextKey = last?.key
        page.nextUpload = last?.upload
        isDone = true
        return
      }
      if let common = KeyRange.commonPrefix(of: key, from: prefixLength, delimiter: delimiter) {
        page.commonPrefixes.append(common)
        last = (common, nil)
        skipping = common
        (start, afterID) = (KeyRange.behind(prefix: common), 0)
      } else {
        let upload = try SQLMetadataStore.upload(row)
        page.uploads.append(upload)
        last = (key, upload.id)
        (start, afterID) = (key, upload.id.number.rawValue)
      }
    }
    if found.count < asked { isDone = true }
  }
}
