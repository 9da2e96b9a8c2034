internal import Base

/// What `store.json` says: which store a directory is.
struct StoreDescription: Hashable, Sendable {
  static let format = 1
  static let maximumLength = 4096

  var cluster: ClusterID
  var store: StoreID

  /// One JSON object on one line.
  var encoded: [UInt8] {
    let text = """
      {"format": \(Self.format), "cluster": "\(cluster)", "store": "\(store)"}

      """
    return Array(text.utf8)
  }

  init(cluster: ClusterID, store: StoreID) {
    self.cluster = cluster
    self.store = store
  }

  /// Reads an object with these three members, in any order; throws for anything else.
  init(decoding bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= Self.maximumLength else { throw FormatError("store.json is too long") }
    var members: [String: String] = [:]
    var scanner = FlatJSONScanner(bytes)
    try scanner.scan { (name, value) throws(FormatError) in
      guard members.updateValue(value, forKey: name) == nil else {
        throw FormatError("store.json names a member twice")
      }
    }
    guard let format = members["format"], format == String(Self.format) else {
      throw FormatError("store.json is not of format \(Self.format)")
    }
    guard let cluster = members["cluster"].flatMap(ClusterID.init(hex:)),
      let store = members["store"].flatMap(StoreID.init(hex:))
    else { throw FormatError("store.json names no cluster or store") }
    self.init(cluster: cluster, store: store)
  }
}

/// Reads one JSON object whose values are numbers without sign or strings without escapes.
private struct FlatJSONScanner {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func scan(
    _ member: (String, String) throws(FormatError) -> Void
  ) throws(FormatError) {
    try expect(0x7b)
    while true {
      let name = try string()
      try expect(0x3a)
      skipSpace()
      let value = peek == 0x22 ? try string() : try number()
      try member(name, value)
      skipSpace()
      guard peek == 0x2c else { break }
      position += 1
    }
    try expect(0x7d)
    skipSpace()
    guard position == bytes.count else { throw FormatError("store.json does not end in time") }
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || (0x09...0x0d).contains(byte) { position += 1 }
  }

  private mutating func expect(_ byte: UInt8) throws(FormatError) {
    skipSpace()
    guard peek == byte else { throw FormatError("store.json is not a flat JSON object") }
    position += 1
  }

  private mutating func string() throws(FormatError) -> String {
    try expect(0x22)
    let start = position
    while let byte = peek, byte != 0x22 {
      guard byte >= 0x20, byte < 0x7f, byte != 0x5c else {
        throw FormatError("store.json has an unusual character")
      }
      position += 1
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    try expect(0x22)
    return text
  }

  private mutating func number() throws(FormatError) -> String {
    let start = position
    while let byte = peek, (0x30...0x39).contains(byte) { position += 1 }
    guard position > start else { throw FormatError("store.json is not a flat JSON object") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }
}
