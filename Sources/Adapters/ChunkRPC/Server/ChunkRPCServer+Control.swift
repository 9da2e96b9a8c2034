internal import Base
internal import ChunkStore
internal import GRPC

extension ChunkRPCServer {
  /// Names that one look at a store's directory gives.
  private static let listStep = 4096

  func delete(_ call: ServerCall, _ stamp: CallStamp?) async throws {
    let request = try DeleteRequest(try await message(of: call))
    // Nobody could tell that it came too late.
    guard let stamp else {
      throw RPCStatus(.invalidArgument, "a deletion says under which lease it is asked for")
    }
    let store = try store(request.store)
    try await order.delete(under: stamp) { try await store.delete(request.chunks) }
    await finish(call, [])
  }

  func stat(_ call: ServerCall) async throws {
    let request = try ChunkRequest(try await message(of: call))
    let status = try await store(request.store).stat(request.chunk)
    await finish(call, StatMessage.encode(status))
  }

  func verify(_ call: ServerCall) async throws {
    let request = try ChunkRequest(try await message(of: call))
    try await store(request.store).verify(request.chunk)
    await finish(call, [])
  }

  func list(_ call: ServerCall) async throws {
    let request = try ListRequest(try await message(of: call))
    let store = try store(request.store)
    var left = request.limit == 0 ? Int.max : request.limit
    var position = request.position
    while true {
      let page = try await store.list(from: position, limit: min(left, Self.listStep))
      left -= min(page.chunks.count, left)
      let encoded = ListMessage.encode(page)
      call.beginOperation(timeout: settings.sendTimeout)
      guard page.next != nil, left > 0 else { return await finish(call, encoded) }
      counters.sent()
      guard await call.send(OutgoingMessage(encoded)) else { throw CancellationError() }
      try Task.checkCancellation()
      position = page.next
    }
  }

  func checkHealth(_ call: ServerCall) async throws {
    _ = try await message(of: call)
    await finish(call, HealthMessage.encode(health.current))
  }

  /// The one message of a call that has one.
  func message(of call: ServerCall) async throws -> ReceivedMessage {
    call.beginOperation(timeout: settings.sendTimeout)
    let received = await call.receive()
    call.endOperation()
    try Task.checkCancellation()
    guard let received else { throw RPCStatus(.invalidArgument, "a call without a message") }
    counters.received()
    return received
  }

  /// A store by its id.
  func store(_ id: StoreID) throws(ChunkStoreError) -> any ChunkStore {
    guard let store = stores[id] else { throw .offline("no such store here") }
    return store
  }

  private func finish(_ call: ServerCall, _ message: [UInt8]) async {
    counters.sent()
    call.beginOperation(timeout: settings.sendTimeout)
    await call.finish(OutgoingMessage(message))
  }
}
