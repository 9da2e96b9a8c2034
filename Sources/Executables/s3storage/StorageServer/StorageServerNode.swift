import Base
import ChunkRPC
import ChunkStore
import Cluster
import Disk
import HTTPServer
import Metadata
import ObjectEngine
import Placement
import Runtime
import Synchronization
import Telemetry

/// A storage server: stores, the chunk service over them, and what keeps it a member.
struct StorageServerNode: Sendable {
  /// What calls have to end when a disk was replaced: the server is back at once.
  private static let shortDeadline: Duration = .seconds(5)

  /// Its lock is held for as long as the node lives.
  private let directory: ServerDirectory
  private let stores: LocalStores
  private let service: ChunkRPCServer
  private let member: ClusterMember
  /// What is lent to writes and to reads.
  private let buffers: [BufferPool]
  private let log: Log

  /// Opens the stores, made on first start, and binds the service.
  static func open(
    _ configuration: Configuration, log: Log
  ) async throws -> StorageServerNode {
    let random = SystemRandom()
    let files = SystemFileSystem(unsafeSkipsSyncs: UnsafeSyncs.areSkipped(configuration, log))
    let directory = try ServerDirectory(configuration, files: files)
    let list = try directory.stores(random: random)
    let member = try await ClusterMember.open(configuration, directory, list, log: log)
    let cluster = member.cluster
    let pool = ThreadPool(name: "io", threadCount: configuration.number("IO_THREADS"))
    let stores = try await LocalStores.open(
      zip(directory.directories(of: list), list).map {
        LocalStores.Place(directory: $0, id: $1.id, mayMake: !$1.isMade)
      },
      LocalStores.Settings(configuration, files: files, cluster: cluster, pool: pool, log: log))
    if !list.allSatisfy(\.isMade) { try directory.noteMade(Set(list.map(\.id))) }
    let budget = configuration.number("BUFFER_BUDGET")
    // Slow uploads hold buffers for as long as they last.
    let reads = budget / 4
    let writes = budget - reads
    let buffers = [writes, reads].map { BufferPool(limit: $0, cacheLimit: $0) }
    let service = try ChunkRPCServer(
      stores: stores.all, server: member.registration.id, cluster: cluster,
      version: CommandLineTool.version, address: member.bindAddress,
      port: configuration.number("GRPC_PORT"), security: member.security, pool: pool,
      buffers: buffers[0], readBuffers: buffers[1], log: log)
    return StorageServerNode(
      directory: directory, stores: stores, service: service, member: member, buffers: buffers,
      log: log)
  }

  /// Serves until a signal ends it. Returns true when it ended because a disk was replaced, and is
  /// to be opened again.
  func serve(_ configuration: Configuration) async throws -> Bool {
    let reopening = Reopening()
    let metrics = StorageServerMetrics(stores: stores, server: service)
    let port = UInt16(clamping: configuration.number("METRICS_PORT"))
    let pages = try HTTPServer(
      listeners: [
        HTTPListener(address: "127.0.0.1", port: port, tls: nil) { await metrics.handle($0) }
      ], serverName: "s3storage", threads: 1)
    let housekeeping = housekeeping()
    let deadline = Duration.seconds(configuration.number("SHUTDOWN_SECONDS"))
    log.info(
      "serving chunks",
      [
        ("server", "\(member.registration.id)"), ("port", "\(service.port)"),
        ("stores", "\(stores.all.count)"),
      ])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await stores.run() }
      group.addTask { await housekeeping.run() }
      group.addTask { try await pages.run() }
      group.addTask { await member.run() }
      group.addTask {
        guard await diskWasReplaced() else { return }
        log.warning("a disk was replaced: the stores are opened again")
        reopening.isDue.store(true, ordering: .relaxed)
        service.beginShutdown(deadline: min(deadline, Self.shortDeadline))
      }
      group.addTask {
        await Signals.forward(reload: {}) {
          log.info("stopping: running calls may end")
          service.beginShutdown(deadline: deadline)
        }
      }
      try await service.run()
      pages.beginShutdown(deadline: .zero)
      await stores.shutDown()
      group.cancelAll()
    }
    log.info("stopped")
    return reopening.isDue.load(ordering: .relaxed)
  }

  /// Waits until other stores are listed than were opened; false when the task is cancelled.
  private func diskWasReplaced() async -> Bool {
    let opened = stores.all.map(\.id)
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      if let listed = try? directory.listedStores(), !listed.isEmpty, listed != opened {
        return true
      }
    }
    return false
  }

  /// What is needed now and then: sparse volumes are compacted, memory is given back.
  private func housekeeping() -> WorkerSupervisor {
    let nodes = stores.all.map { PlacementNode(id: $0.id, server: "") }
    let set = StoreSet(
      stores: stores.local, ring: PlacementRing(nodes: nodes, width: max(1, nodes.count)))
    return WorkerSupervisor(
      workers: [StoreCompactor(stores: set), IdleTrimmer(buffers: buffers)],
      wallClock: SystemWallClock(),
      pool: ThreadPool(name: "background", threadCount: 1), log: log)
  }
}

/// Whether a node is to be opened again.
private final class Reopening: Sendable {
  let isDue = Atomic(false)
}
