import Disk
import Glibc

extension LossyFileSystem {
  /// Bytes that files take now.
  public var usedBytes: Int { state.withLock { $0.usedBytes } }

  /// Changes a byte of each file that holds `bytes`, durably, where they begin; how many there were.
  public func damage(_ bytes: [UInt8]) -> Int {
    state.withLock { state in
      var count = 0
      for number in state.nodes.keys.sorted() {
        guard let node = state.nodes[number], !node.isDirectory, node.linkCount > 0,
          let offset = Self.find(bytes, in: node.current)
        else { continue }
        state.nodes[number]?.current[offset] ^= 0x40
        if node.durable.count > offset { state.nodes[number]?.durable[offset] ^= 0x40 }
        count += 1
      }
      return count
    }
  }

  private static func find(_ bytes: [UInt8], in file: [UInt8]) -> Int? {
    guard let first = bytes.first, file.count >= bytes.count else { return nil }
    return file.withUnsafeBytes { file in
      bytes.withUnsafeBytes { bytes in
        guard let start = file.baseAddress, let wanted = bytes.baseAddress else { return nil }
        var offset = 0
        while offset + bytes.count <= file.count {
          let room = file.count - bytes.count + 1 - offset
          guard let found = memchr(start + offset, Int32(first), room) else { return nil }
          if memcmp(found, wanted, bytes.count) == 0 { return UnsafeRawPointer(found) - start }
          offset = UnsafeRawPointer(found) - start + 1
        }
        return nil
      }
    }
  }
}
