import Disk
import Runtime

/// What is on a lossy disk, and what would be after a power cut.
struct LossyState: Sendable {
  struct Write: Sendable {
    var offset: Int
    /// Nil for a hole.
    var bytes: [UInt8]?
    var count: Int
  }

  struct Node: Sendable {
    var isDirectory: Bool
    var linkCount = 0
    var isLocked = false
    var current: [UInt8] = []
    var durable: [UInt8] = []
    var pendingWrites: [Write] = []
    var entries: [String: Int] = [:]
    var durableEntries: [String: Int] = [:]
    var pendingEntries: [(name: String, node: Int?)] = []
  }

  static let pageLength = 4096

  var capacity: Int
  var nodes: [Int: Node] = [0: Node(isDirectory: true, linkCount: 1)]
  var nextNode = 1
  var isReadOnly = false
  var leavesFailedWrites = false
  var isOff = false
  var changesLeft: Int?
  var changeCount = 0
  var faults: [LossyFileSystem.Fault] = []
  var syncCounts: [DiskPath.Kind: Int] = [:]

  init(capacity: Int) {
    self.capacity = capacity
  }

  var usedBytes: Int {
    nodes.values.reduce(0) { $0 + ($1.linkCount > 0 ? $1.current.count : 0) }
  }

  /// The directory, the name and, if it is there, the node of a path.
  func find(_ path: DiskPath) throws(DiskError) -> (parent: Int, name: String, node: Int?) {
    var parent = 0
    let names = path.text.split(separator: "/").map(String.init)
    guard let last = names.last else { throw DiskError(.notFound, .open, path.kind) }
    for name in names.dropLast() {
      guard let next = nodes[parent]?.entries[name], nodes[next]?.isDirectory == true else {
        throw DiskError(.notFound, .open, path.kind)
      }
      parent = next
    }
    return (parent, last, nodes[parent]?.entries[last])
  }

  func existing(
    _ path: DiskPath, _ operation: DiskError.Operation
  ) throws(DiskError) -> Int {
    if path.text == "/" { return 0 }
    guard let node = try find(path).node else {
      throw DiskError(.notFound, operation, path.kind)
    }
    return node
  }

  /// Throws what an operation that changes nothing meets.
  mutating func check(_ operation: DiskError.Operation, _ path: DiskPath) throws(DiskError) {
    if isOff { throw DiskError(.device, operation, path.kind) }
    for index in faults.indices where faults[index].operation == operation {
      guard faults[index].kind == nil || faults[index].kind == path.kind else { continue }
      if faults[index].passing > 0 {
        faults[index].passing -= 1
      } else if faults[index].failing > 0 {
        faults[index].failing -= 1
        throw DiskError(faults[index].code, operation, path.kind)
      }
    }
  }

  /// Throws what an operation that changes something meets.
  mutating func change(_ operation: DiskError.Operation, _ path: DiskPath) throws(DiskError) {
    if let left = changesLeft {
      if left == 0 { isOff = true } else { changesLeft = left - 1 }
    }
    try check(operation, path)
    if isReadOnly { throw DiskError(.readOnly, operation, path.kind) }
    changeCount += 1
  }

  mutating func newNode(isDirectory: Bool) -> Int {
    defer { nextNode += 1 }
    nodes[nextNode] = Node(isDirectory: isDirectory)
    return nextNode
  }

  mutating func link(_ node: Int, _ name: String, in parent: Int) {
    nodes[parent]?.entries[name] = node
    nodes[parent]?.pendingEntries.append((name, node))
    nodes[node]?.linkCount += 1
  }

  mutating func unlink(_ name: String, in parent: Int, isRecorded: Bool) {
    guard let node = nodes[parent]?.entries.removeValue(forKey: name) else { return }
    nodes[node]?.linkCount -= 1
    if isRecorded { nodes[parent]?.pendingEntries.append((name, nil)) }
  }

  mutating func open(_ path: DiskPath, _ mode: FileMode) throws(DiskError) -> Int {
    let (parent, name, node) = try find(path)
    guard mode.access == .create else {
      try check(.open, path)
      guard let node, nodes[node]?.isDirectory == false else {
        throw DiskError(.notFound, .open, path.kind)
      }
      if mode.access == .write, isReadOnly { throw DiskError(.readOnly, .open, path.kind) }
      return node
    }
    try change(.create, path)
    guard node == nil else { throw DiskError(.exists, .create, path.kind) }
    let number = newNode(isDirectory: false)
    link(number, name, in: parent)
    return number
  }

  func status(_ node: Int) -> FileStatus {
    FileStatus(
      size: nodes[node]?.current.count ?? 0, linkCount: nodes[node]?.linkCount ?? 0,
      inode: UInt64(node), device: 1, isDirectory: nodes[node]?.isDirectory ?? false)
  }

  mutating func write(_ bytes: [UInt8], to node: Int, at offset: Int, _ path: DiskPath)
    throws(DiskError)
  {
    do throws(DiskError) {
      try change(.write, path)
    } catch {
      if leavesFailedWrites, !isOff {
        store(bytes, to: node, at: offset)
      }
      throw error
    }
    let size = nodes[node]?.current.count ?? 0
    let growth = max(0, offset + bytes.count - size)
    if growth > 0, usedBytes + growth > capacity {
      // A part of it goes to the disk before the disk is full.
      store(Array(bytes.prefix(bytes.count / 2)), to: node, at: offset)
      throw DiskError(.noSpace, .write, path.kind)
    }
    store(bytes, to: node, at: offset)
  }

  private mutating func store(_ bytes: [UInt8], to node: Int, at offset: Int) {
    let write = Write(offset: offset, bytes: bytes, count: bytes.count)
    guard var file = nodes.removeValue(forKey: node) else { return }
    Self.apply(write, to: &file.current)
    file.pendingWrites.append(write)
    nodes[node] = file
  }

  mutating func punch(_ range: Range<Int>, of node: Int, _ path: DiskPath) throws(DiskError) {
    try change(.punch, path)
    guard var file = nodes.removeValue(forKey: node) else { return }
    let write = Write(offset: range.lowerBound, bytes: nil, count: range.count)
    Self.apply(write, to: &file.current)
    file.pendingWrites.append(write)
    nodes[node] = file
  }

  mutating func sync(_ node: Int) {
    guard var file = nodes.removeValue(forKey: node) else { return }
    for write in file.pendingWrites { Self.apply(write, to: &file.durable) }
    file.pendingWrites = []
    nodes[node] = file
  }

  private static func apply(_ write: Write, to file: inout [UInt8]) {
    let end = write.offset + write.count
    if let bytes = write.bytes {
      if file.count < end { file += [UInt8](repeating: 0, count: end - file.count) }
      file.withUnsafeMutableBytes { file in
        UnsafeMutableRawBufferPointer(rebasing: file[write.offset..<end]).copyBytes(from: bytes)
      }
    } else {
      let range = write.offset..<max(write.offset, min(end, file.count))
      guard !range.isEmpty else { return }
      file.withUnsafeMutableBytes { file in
        _ = UnsafeMutableRawBufferPointer(rebasing: file[range])
          .initializeMemory(as: UInt8.self, repeating: 0)
      }
    }
  }

  /// What is there after a power cut, as the random numbers have it.
  func survivor(_ random: SeededRandom) -> LossyState {
    var result = LossyState(capacity: capacity)
    result.nextNode = nextNode
    result.nodes = [:]
    // The nodes are visited in order, so that a seed always gives the same outcome.
    for number in nodes.keys.sorted() {
      guard let node = nodes[number] else { continue }
      var kept = Node(isDirectory: node.isDirectory)
      let chance = [0, 0, 2, 4, 4][Int(random.next() % 5)]
      if node.isDirectory {
        kept.entries = node.durableEntries
        for (name, target) in node.pendingEntries where Int(random.next() % 4) < chance {
          kept.entries[name] = target
        }
        kept.durableEntries = kept.entries
      } else {
        kept.current = node.durable
        for write in node.pendingWrites { Self.keep(write, chance, random, in: &kept.current) }
        kept.durable = kept.current
      }
      result.nodes[number] = kept
    }
    result.dropUnreachable()
    return result
  }

  /// Keeps some pages of a write.
  private static func keep(
    _ write: Write, _ chance: Int, _ random: SeededRandom, in file: inout [UInt8]
  ) {
    var offset = 0
    while offset < write.count {
      let inPage = (write.offset + offset) % pageLength
      let count = min(pageLength - inPage, write.count - offset)
      if Int(random.next() % 4) < chance {
        let bytes = write.bytes.map { Array($0[offset..<offset + count]) }
        apply(Write(offset: write.offset + offset, bytes: bytes, count: count), to: &file)
      }
      offset += count
    }
  }

  private mutating func dropUnreachable() {
    var links: [Int: Int] = [0: 1]
    var open = [0]
    while let number = open.popLast() {
      guard let node = nodes[number], node.isDirectory else { continue }
      for target in node.entries.values {
        links[target, default: 0] += 1
        if links[target] == 1 { open.append(target) }
      }
    }
    for number in nodes.keys {
      if let count = links[number] {
        nodes[number]?.linkCount = count
      } else {
        nodes[number] = nil
      }
    }
  }
}
