public import Base
internal import Disk
internal import Erasure
public import Runtime
internal import Synchronization
internal import Telemetry

/// A store in one directory of this machine.
///
/// Large chunks are files, small ones records of volumes. The process that has it open holds a
/// lock on it; `store.json` tells which store it is. Everything runs on the caller's executor and
/// may block, so callers set one up that may: a `ThreadPool`.
public final class LocalChunkStore: ChunkStore {
  /// The store.
  public let id: StoreID
  /// The installation that it belongs to.
  public let cluster: ClusterID

  let guardian: StoreGuard
  let volumes: VolumeLog
  let files: ChunkFiles
  private let options: LocalChunkStoreOptions
  private let isClosed = Mutex(false)

  init(
    _ description: StoreDescription, guardian: StoreGuard, options: LocalChunkStoreOptions,
    log: Log
  ) {
    id = description.store
    cluster = description.cluster
    self.guardian = guardian
    self.options = options
    volumes = VolumeLog(
      store: description.store, guardian: guardian, options: options, log: log)
    files = ChunkFiles(guardian: guardian, clock: options.clock)
  }

  /// Writes a small chunk as a record; many at once share one write and one sync.
  public func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try check(header)
    try trailer.validate()
    guard range.count <= ChunkLimits.smallDataLength else {
      throw .tooLarge("a record of \(range.count) bytes")
    }
    guard trailer.dataLength == range.count else {
      throw .tooLarge("\(range.count) bytes of a chunk of \(trailer.dataLength)")
    }
    try requireOpen()
    try guardian.requireWritable()
    let record = PutRecord(
      header: header, trailer: trailer.encoded(for: header.id), data: data, range: range)
    try guardian.requireSpace(record.recordLength, of: space)
    let outcome = try await volumes.submit(.put(record))
    volumes.release(outcome.freed)
  }

  /// Starts a chunk file.
  public func beginChunk(
    _ header: ChunkHeader
  ) async throws(ChunkStoreError) -> any ChunkWriter {
    try check(header)
    try requireOpen()
    try guardian.requireWritable()
    try guardian.requireSpace(0)
    let id = header.id
    return try ChunkFileWriter(header: header, files: files) {
      [volumes] () async throws(ChunkStoreError) in
      // A record of the same name would be found first.
      guard volumes.entry(id) != nil else { return }
      let outcome = try await volumes.submit(.delete([id]))
      volumes.release(outcome.freed)
    }
  }

  /// Opens a chunk, be it a record or a file.
  public func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try requireOpen()
    try guardian.requireReadable()
    if let reader = try SmallChunkReader(id, volumes: volumes, cluster: cluster) {
      return reader
    }
    return try ChunkFileReader(id, guardian: guardian)
  }

  /// Deletes records with one batch and files with one sync for each of their directories.
  public func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try requireOpen()
    try guardian.requireWritable()
    // A bounded number at a time, so that no batch of the log grows too long.
    var rest = ids[...]
    while !rest.isEmpty {
      var seen = Set<ChunkID>()
      let part = rest.prefix(1024).filter { seen.insert($0).inserted }
      rest = rest.dropFirst(1024)
      let small = part.filter { volumes.entry($0) != nil }
      // A put that failed may have left a record of one that the index does not know.
      if !small.isEmpty || volumes.isDirty {
        let outcome = try await volumes.submit(.delete(small))
        volumes.release(outcome.freed)
      }
      try await files.delete(part, records: Set(small))
    }
  }

  /// What a chunk says of itself.
  public func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try requireOpen()
    try guardian.requireReadable()
    if let reader = try SmallChunkReader(id, volumes: volumes, cluster: cluster) {
      return ChunkStatus(header: reader.header, trailer: reader.trailer)
    }
    let reader = try ChunkFileReader(id, guardian: guardian)
    return ChunkStatus(header: try reader.header(), trailer: reader.trailer)
  }

  /// Reads all of a chunk and checks it.
  public func verify(_ id: ChunkID) async throws(ChunkStoreError) {
    let reader = try await openChunk(id)
    if let file = reader as? ChunkFileReader {
      let header = try file.header()
      guard header.id == id else { throw .corrupt("the file of another chunk") }
      guard header.cluster == cluster else { throw .corrupt("the chunk of another cluster") }
    }
    let digester = ChunkDigester(id: id)
    let length = reader.trailer.dataLength
    let piece = 16 * ChunkLimits.checksumSpan
    let buffer = AlignedBuffer(count: min(max(length, 1), piece))
    for start in stride(from: 0, to: length, by: piece) {
      let range = start..<min(start + piece, length)
      try await reader.read(range, into: buffer, at: 0)
      unsafe buffer.withBytes(0..<range.count) { unsafe digester.append($0) }
    }
    let found = digester.finish(
      extentLength: 0, storedLength: 0, wrappedKey: [], descriptor: [])
    guard found.sha256 == reader.trailer.sha256 else {
      throw .corrupt("data does not match its SHA-256")
    }
  }

  private func check(_ header: ChunkHeader) throws(ChunkStoreError) {
    guard header.cluster == cluster else {
      throw .offline("the store belongs to another cluster")
    }
    guard header.id.index < header.scheme.total else {
      throw .tooLarge("chunk \(header.id.index) of \(header.scheme)")
    }
  }

  func requireOpen() throws(ChunkStoreError) {
    if isClosed.withLock({ $0 }) { throw .offline("the store is shut down") }
  }

  /// Marks the store closed; returns false when it was already.
  func closeOnce() -> Bool {
    isClosed.withLock { isClosed in
      defer { isClosed = true }
      return !isClosed
    }
  }
}

extension LocalChunkStore {
  /// Records first, then files.
  public func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try requireOpen()
    try guardian.requireReadable()
    let limit = max(limit, 1)
    var position = position ?? ChunkListPosition(area: .volumes, last: nil)
    var chunks: [ChunkID] = []
    if position.area == .volumes {
      chunks = volumes.list(after: position.last, limit: limit)
      if chunks.count == limit {
        return ChunkPage(
          chunks: chunks, next: ChunkListPosition(area: .volumes, last: chunks.last))
      }
      position = ChunkListPosition(area: .files, last: nil)
    }
    do throws(DiskError) {
      let found = try files.list(after: position.last, limit: limit - chunks.count)
      chunks += found
      guard chunks.count == limit else { return ChunkPage(chunks: chunks, next: nil) }
      return ChunkPage(
        chunks: chunks,
        next: ChunkListPosition(area: .files, last: found.last ?? position.last))
    } catch {
      throw guardian.failure(error)
    }
  }

  /// Looks at the directory and the file system.
  public func health() async -> StoreHealth {
    guardian.verifyPresence()
    let space = try? guardian.fileSystem.space(guardian.layout.root)
    var health = StoreHealth(
      state: .active, reason: "", capacity: space?.capacity ?? 0, used: space?.used ?? 0,
      free: space?.free ?? 0, reserve: options.reserve(of: space?.capacity ?? 0),
      chunkCount: volumes.count + files.count)
    if isClosed.withLock({ $0 }) { guardian.setOffline("the store is shut down") }
    switch guardian.condition {
    case .active:
      if space?.isReadOnly == true {
        health.state = .fenced
        health.reason = "the file system is mounted for reading only"
      } else if health.free < health.reserve {
        health.state = .full
        health.reason = "no more than the reserve is free"
      }
    case .fenced(let reason):
      health.state = .fenced
      health.reason = reason
    case .offline(let reason):
      health.state = .offline
      health.reason = reason
    }
    return health
  }
}
