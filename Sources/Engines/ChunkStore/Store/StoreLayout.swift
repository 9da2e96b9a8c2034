internal import Base
internal import Disk

extension DiskPath.Kind {
  static let store: DiskPath.Kind = "store directory"
  static let storeDescription: DiskPath.Kind = "store description"
  static let chunkDirectory: DiskPath.Kind = "chunk directory"
  static let chunkFile: DiskPath.Kind = "chunk file"
  static let volumeDirectory: DiskPath.Kind = "volume directory"
  static let volume: DiskPath.Kind = "volume"
  static let index: DiskPath.Kind = "volume index"
}

/// The names of everything in a store's directory.
struct StoreLayout: Sendable {
  let root: DiskPath
  let description: DiskPath
  let newDescription: DiskPath
  /// Finished chunk files, in a directory for each epoch.
  let chunks: DiskPath
  /// Chunk files that are being written: they are renamed when they are complete.
  let unfinished: DiskPath
  let volumes: DiskPath
  let index: DiskPath
  let newIndex: DiskPath

  init(_ directory: String) {
    root = DiskPath(directory, kind: .store)
    description = root.appending("store.json", kind: .storeDescription)
    newDescription = root.appending("store.json.new", kind: .storeDescription)
    chunks = root.appending("chunks", kind: .chunkDirectory)
    unfinished = root.appending("unfinished", kind: .chunkDirectory)
    volumes = root.appending("volumes", kind: .volumeDirectory)
    index = volumes.appending("index", kind: .index)
    newIndex = volumes.appending("index.new", kind: .index)
  }

  func epochDirectory(_ epoch: UInt64) -> DiskPath {
    chunks.appending(Self.digits(epoch, 12), kind: .chunkDirectory)
  }

  func chunkFile(_ id: ChunkID) -> DiskPath {
    epochDirectory(id.extent.epoch).appending(id.description, kind: .chunkFile)
  }

  func volume(_ number: UInt32) -> DiskPath {
    volumes.appending(Self.digits(UInt64(number), 8), kind: .volume)
  }

  /// The epoch that a directory is named for; nil for any other name.
  static func epoch(ofDirectory name: String) -> UInt64? {
    number(name, digits: 12)
  }

  /// The number that a volume is named for; nil for any other name.
  static func volumeNumber(ofFile name: String) -> UInt32? {
    number(name, digits: 8).flatMap { $0 == 0 ? nil : UInt32(exactly: $0) }
  }

  /// The chunk that a file is named for; nil for any other name.
  static func chunk(ofFile name: String) -> ChunkID? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let extent = ExtentID(hex: String(parts[0])),
      let index = UInt8(parts[1])
    else { return nil }
    let id = ChunkID(extent: extent, index: index)
    return id.description == name ? id : nil
  }

  private static func digits(_ value: UInt64, _ count: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }

  private static func number(_ name: String, digits count: Int) -> UInt64? {
    guard name.utf8.count == count, let value = UInt64(name, radix: 16),
      digits(value, count) == name
    else { return nil }
    return value
  }
}
