import Base
import ChunkStore
import Metadata
import Runtime
import Synchronization
import TestSupport

/// What goes wrong between one gateway and one storage server. Confined to the simulation's thread.
final class LinkFaults: @unchecked Sendable {
  /// Nothing passes: calls wait for their deadline.
  var isCut = false { didSet { wasHarmed = true } }
  /// Of 1000 calls, how many are lost, reset before or reset after they were executed.
  var losses = 0 { didSet { wasHarmed = true } }
  /// Of 1000 deletes, how many arrive a second time, later.
  var duplicates = 0
  /// Acknowledges what fails; only a broken double does.
  var lies = false
  /// Something has ever gone wrong here.
  private(set) var wasHarmed = false
}

/// A store as one gateway reaches it over a network that delays, loses and breaks.
final class SimulatedLink: ChunkStore {
  /// How long a call waits for an answer.
  static let deadline: Duration = .seconds(5)

  let id: StoreID
  let server: SimulatedServer
  let faults: LinkFaults
  private let process: SimulatedProcess
  private let closed = Atomic(false)
  let world: SimulationWorld
  /// What carried the first bytes of each chunk that was sent.
  private let sent = SentChunks()

  init(
    to server: SimulatedServer, from process: SimulatedProcess, faults: LinkFaults,
    world: SimulationWorld
  ) {
    id = server.id
    self.server = server
    self.process = process
    self.faults = faults
    self.world = world
  }

  /// Carries one call. `life` is the server's life that the call belongs to, nil for any.
  func call<R>(
    in life: SimulatedServer.Life? = nil,
    _ body: (SimulatedServer.Life) async throws(ChunkStoreError) -> R
  ) async throws(ChunkStoreError) -> R {
    try await pause(world.delay() + server.slowness)
    await process.pass(world.clock)
    try requireAlive()
    let fate = world.chance(faults.losses) ? world.pick(3) : 3
    if faults.isCut || fate == 0 {
      try await pause(Self.deadline)
      throw .offline("no answer")
    }
    if fate == 1 { throw .offline("connection reset") }
    try requireAlive()
    guard let current = server.life, life == nil || current === life else {
      throw .offline("connection refused")
    }
    let result: R
    do throws(ChunkStoreError) { result = try await body(current) } catch {
      throw current.process.isDead ? .offline("connection reset") : error
    }
    if current.process.isDead || fate == 2 { throw .offline("connection reset") }
    try await pause(world.delay())
    try requireAlive()
    return result
  }

  private func pause(_ duration: Duration) async throws(ChunkStoreError) {
    do { try await world.clock.sleep(for: duration) } catch { throw .offline("cancelled") }
  }

  private func requireAlive() throws(ChunkStoreError) {
    if process.isDead { throw .offline("the process is dead") }
    if closed.load(ordering: .relaxed) { throw .offline("the connection is closed") }
  }

  /// No call passes any more.
  func close() { closed.store(true, ordering: .relaxed) }

  /// A chunk begins its way: nobody may send the same bytes to the same store twice, since what
  /// became of the first is not known. Pieces of the log never change: they may go again.
  func noteSent(_ chunk: ChunkID, _ buffer: AlignedBuffer) {
    if !SystemExtentID.isReserved(chunk.extent), sent.isRepeated(chunk, buffer) {
      world.violation("chunk \(chunk) is sent to store \(id.low) a second time")
    }
  }

  /// Has a broken double acknowledge what failed.
  func orLie(
    _ body: () async throws(ChunkStoreError) -> Void
  ) async throws(ChunkStoreError) {
    do throws(ChunkStoreError) { try await body() } catch {
      guard faults.lies else { throw error }
    }
  }

  // MARK: - ChunkStore

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    await SimulationMutation.deleteEarly(header.id, world)
    noteSent(header.id, data)
    if SimulationMutation.isEarly(header.id, world) {
      let copy = AlignedBuffer(count: range.count)
      copy.copy(data.bytes(range))
      Task(executorPreference: world.pool) { [self] in
        await world.sleep(.seconds(20))
        guard !process.isDead else { return }
        try? await server.life?.store.putSmall(
          header, data: copy, range: 0..<copy.count, trailer: trailer, space: space)
      }
      return
    }
    try await orLie { () throws(ChunkStoreError) in
      try await call { life throws(ChunkStoreError) in
        try await life.store.putSmall(
          header, data: data, range: range, trailer: trailer, space: space)
        world.noteStored(header.id, at: id)
      }
    }
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    await SimulationMutation.deleteEarly(header.id, world)
    return try await call { life throws(ChunkStoreError) in
      SimulatedWriter(
        header.id, try await life.store.beginChunk(header), link: self, life: life)
    }
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await call { life throws(ChunkStoreError) in
      SimulatedReader(try await life.store.openChunk(id), link: self, life: life)
    }
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    // Some arrive twice, and some after their caller has given up.
    if world.chance(faults.duplicates) {
      world.later { [self] in
        await world.checkDelete(ids, at: server)
        try? await server.life?.store.delete(ids)
      }
    }
    try await call { life throws(ChunkStoreError) in
      await world.checkDelete(ids, at: server)
      try await life.store.delete(ids)
      for chunk in ids { world.trace("chunk \(chunk) is deleted at \(id.low)") }
    }
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await call { life throws(ChunkStoreError) in try await life.store.stat(id) }
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) {
    try await call { life throws(ChunkStoreError) in try await life.store.verify(id) }
  }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await call { life throws(ChunkStoreError) in
      try await life.store.list(from: position, limit: limit)
    }
  }

  func health() async -> StoreHealth {
    do throws(ChunkStoreError) {
      return try await call { life throws(ChunkStoreError) in await life.store.health() }
    } catch {
      return await UnavailableChunkStore(id: id, reason: "\(error)").health()
    }
  }
}

/// The chunks that were sent over a link, by the memory that they came from, as long as it lives.
///
/// Confined to the thread of the simulation.
private final class SentChunks: @unchecked Sendable {
  private struct Source {
    weak var buffer: AlignedBuffer?
  }

  private var sources: [ChunkID: Source] = [:]

  /// Notes a chunk; whether the same memory has sent it before.
  func isRepeated(_ chunk: ChunkID, _ buffer: AlignedBuffer) -> Bool {
    if sources[chunk]?.buffer === buffer { return true }
    sources[chunk] = Source(buffer: buffer)
    return false
  }
}

/// A chunk on its way over a link.
final class SimulatedWriter: ChunkWriter {
  private let id: ChunkID
  private let writer: any ChunkWriter
  private let link: SimulatedLink
  private let life: SimulatedServer.Life
  private let hasBegun = Atomic(false)

  init(
    _ id: ChunkID, _ writer: any ChunkWriter, link: SimulatedLink, life: SimulatedServer.Life
  ) {
    self.id = id
    self.writer = writer
    self.link = link
    self.life = life
  }

  func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
    if !hasBegun.exchange(true, ordering: .relaxed) { link.noteSent(id, buffer) }
    try await link.call(in: life) { _ throws(ChunkStoreError) in
      try await writer.append(buffer, range)
    }
  }

  func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
    try await link.orLie { () throws(ChunkStoreError) in
      try await link.call(in: life) { _ throws(ChunkStoreError) in
        try await writer.finish(trailer)
        link.world.noteStored(id, at: link.id)
      }
    }
  }

  /// A server drops what a broken connection left unfinished, so this needs no network.
  func abort() async { await writer.abort() }
}

/// A chunk that is read over a link.
final class SimulatedReader: ChunkReader {
  private let reader: any ChunkReader
  private let link: SimulatedLink
  private let life: SimulatedServer.Life

  init(_ reader: any ChunkReader, link: SimulatedLink, life: SimulatedServer.Life) {
    self.reader = reader
    self.link = link
    self.life = life
  }

  var trailer: ChunkTrailer { reader.trailer }

  func read(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    try await link.call(in: life) { _ throws(ChunkStoreError) in
      try await reader.read(range, into: buffer, at: offset)
    }
  }

  /// Every other store does.
  func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)? {
    guard link.id.low.isMultiple(of: 2) else { return nil }
    let buffer = AlignedBuffer(count: ByteCount.roundUp(range.count, to: 4096))
    try await read(range, into: buffer, at: 0)
    return LentArray(buffer.bytes(0..<range.count))
  }

  func close() { reader.close() }
}
