import Base
import ChunkRPC
import ChunkStore
import Disk
import Erasure
import GRPC
import Glibc
import Runtime

/// What chunks cost over the wire between two processes: a server with a store that keeps nothing,
/// or with a real one, and a client that measures.
struct ChunkServiceFigures {
  private static let cluster = ClusterID(high: 1, low: 1)
  static let server = ServerID(high: 2, low: 2)
  private static let chunkLength = 64 * ByteCount.mebibyte
  private static let storeID = StoreID(high: 3, low: 3)
  private static let piece = 256 * ByteCount.kibibyte
  private static let streams = 4

  private let pool = ThreadPool(name: "bench", threadCount: 8)
  private let trailers: [ChunkTrailer]

  /// Describes the chunks that are moved: zeros.
  private init() {
    let block = AlignedBuffer(count: ByteCount.mebibyte)
    block.zero(0..<block.count)
    trailers = (0..<Self.streams).map { number in
      let digester = ChunkDigester(id: Self.id(number))
      for _ in 0..<Self.chunkLength / block.count {
        unsafe block.withBytes(0..<block.count) { unsafe digester.append($0) }
      }
      return digester.finish(
        extentLength: Self.chunkLength, storedLength: Self.chunkLength, wrappedKey: [],
        descriptor: [])
    }
  }

  /// Serves chunks until standard input ends, and prints the port first. The store keeps nothing, or
  /// lies in `directory` where that is given. With `tls`, a directory of `ca.pem`, `server.pem` and
  /// `server.key` whose certificate names the server 0…02 0…02, over mutual TLS.
  static func serve(directory: String?, tls: String?, announce: (Int) -> Void) async throws {
    let pool = ThreadPool(name: "bench", threadCount: 8)
    let input = ThreadPool(name: "input", threadCount: 1)
    var local: LocalChunkStore?
    if let directory {
      let path = directory + "/chunk-service"
      try? LocalChunkStore.create(
        directory: path, fileSystem: SystemFileSystem(), cluster: cluster, store: storeID)
      local = try LocalChunkStore.open(
        directory: path, fileSystem: SystemFileSystem(), cluster: cluster)
    }
    let server = try ChunkRPCServer(
      stores: [local ?? EmptyStore(id: storeID)], server: Self.server, cluster: cluster,
      version: "bench", address: "127.0.0.1", port: 0, security: try security(tls, "server"),
      pool: pool,
      buffers: BufferPool(limit: 64 * ByteCount.mebibyte, cacheLimit: 64 * ByteCount.mebibyte))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: pool) { try await server.run() }
      announce(server.port)
      await input.run { while getchar() != EOF {} }
      server.beginShutdown(deadline: .zero)
      try await group.waitForAll()
    }
    try await local?.delete((0..<streams).map(Self.id))
    await local?.shutdown()
  }

  /// Moves `byteCount` bytes each way from and to the server at `port`; with `tls`, a directory of
  /// `ca.pem`, `gateway.pem` and `gateway.key`, over mutual TLS. CPU is that of this process.
  static func measure(
    port: Int, byteCount: Int, tls: String?
  ) async throws -> [(name: String, value: Double)] {
    try await Self().measure(port: port, try security(tls, "gateway"), byteCount: byteCount)
  }

  private static func security(_ tls: String?, _ end: String) throws -> ChunkRPCSecurity {
    guard let tls else { return .sharedSecret("a-secret-of-the-benchmark") }
    return .mutualTLS(try BenchCertificates.identity(tls, end))
  }

  private static func id(_ number: Int) -> ChunkID {
    ChunkID(extent: ExtentID(epoch: 1, random: (0, UInt64(number))), index: 0)
  }

  private func measure(
    port: Int, _ calling: ChunkRPCSecurity, byteCount: Int
  ) async throws -> [(name: String, value: Double)] {
    let connection = ChunkRPCClient(security: calling)
      .connect(to: "127.0.0.1:\(port)", server: Self.server)
    let remote = connection.store(Self.storeID)
    let rounds = max(1, byteCount / (Self.streams * Self.chunkLength))
    let put = try await repeated(rounds) { number in try await self.put(number, remote) }
    let get = try await repeated(rounds) { number in try await self.get(number, remote) }
    await connection.close()
    return [
      ("put_mib_per_second", put.rate), ("put_cpu_seconds_per_gib", put.processorSeconds),
      ("get_mib_per_second", get.rate), ("get_cpu_seconds_per_gib", get.processorSeconds),
    ]
  }

  private func repeated(
    _ rounds: Int, _ body: @escaping @Sendable (Int) async throws -> Void
  ) async throws -> (rate: Double, processorSeconds: Double) {
    let (start, before) = (MonotonicTime.nanoseconds, Floor.processorTime())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<Self.streams {
        group.addTask(executorPreference: pool) {
          for _ in 0..<rounds { try await body(number) }
        }
      }
      try await group.waitForAll()
    }
    let seconds = Double(MonotonicTime.nanoseconds - start) / 1e9
    let gibibytes =
      Double(rounds * Self.streams * Self.chunkLength) / Double(ByteCount.gibibyte)
    return (gibibytes * 1024 / seconds, (Floor.processorTime() - before) / gibibytes)
  }

  private func put(_ number: Int, _ store: any ChunkStore) async throws {
    let buffer = AlignedBuffer(count: Self.piece)
    buffer.zero(0..<buffer.count)
    let writer = try await store.beginChunk(
      ChunkHeader(id: Self.id(number), scheme: .standard, cluster: Self.cluster))
    for _ in 0..<Self.chunkLength / Self.piece {
      try await writer.append(buffer, 0..<Self.piece)
    }
    try await writer.finish(trailers[number])
  }

  private func get(_ number: Int, _ store: any ChunkStore) async throws {
    let buffer = AlignedBuffer(count: Self.piece)
    let reader = try await store.openChunk(Self.id(number))
    for start in stride(from: 0, to: Self.chunkLength, by: Self.piece) {
      try await reader.read(start..<start + Self.piece, into: buffer, at: 0)
    }
    reader.close()
  }
}
