import Metadata
import ObjectEngine
import Runtime
import TestSupport
import Testing

extension ModelRun {
  // MARK: Faults

  func switchStores() async throws {
    let count = pick(3)
    note("stores away: \(fragile.prefix(count))")
    for (index, store) in try node.stores.enumerated() {
      store.setAway(fragile.prefix(count).contains(index))
    }
    try await node.engine.stores.refresh()
  }

  func restart() async throws {
    let isKill = pick(2) == 0
    note(isKill ? "killed" : "restarted")
    try await idle()
    let directory = isKill ? try node.snapshot() : try node.directory
    try await node.close()
    // The locks of the stores go with the last reference.
    running = nil
    running = try await ModelNode.open(directory)
    try await node.engine.stores.refresh()
  }

  func idle() async throws {
    try await eventually { try node.engine.buffers.used == 0 }
    try #require(try node.engine.reads.oldest == nil, "a read is counted\n\(story)")
  }

  // MARK: The end

  /// Reads everything, lists everything and counts what is in the stores.
  func finish() async throws {
    for store in try node.stores { store.setAway(false) }
    try await node.engine.stores.refresh()
    note("the end")
    for (name, objects) in reference.buckets {
      let bucket = try bucket(name)
      for (key, object) in objects {
        let version = try await lookUp(name, key)
        let bytes = try await read(version, 0..<version.size)
        try #require(isSame(bytes, object.content[...]), "\(text(name, key))\n\(story)")
      }
      let usage = try await node.store.usage(of: bucket.id)
      #expect(usage.objects == Int64(objects.count))
      #expect(usage.bytes == Int64(objects.values.reduce(0) { $0 + $1.content.count }))
    }
    let chunks = try await node.chunks()
    let named = try await node.store.named(among: Array(chunks.keys))
    #expect(Set(chunks.keys).subtracting(named).isEmpty, "chunks that nothing names")
    #expect(try node.unfinishedFiles() == [])
    try await idle()
    try await node.close()
  }
}
