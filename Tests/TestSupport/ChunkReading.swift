public import ChunkStore
import Runtime

/// All of a chunk's bytes.
public func readAll(_ id: ChunkID, from store: any ChunkStore) async throws(ChunkStoreError)
  -> [UInt8]
{
  let reader = try await store.openChunk(id)
  let length = reader.trailer.dataLength
  let buffer = AlignedBuffer(count: max(length, 1))
  try await reader.read(0..<length, into: buffer, at: 0)
  reader.close()
  return buffer.bytes(0..<length)
}

/// What an operation threw.
public func failure<R>(of body: () async throws -> R) async -> ChunkStoreError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? ChunkStoreError
  }
}

/// All names of a store, page by page.
public func listAll(_ store: any ChunkStore, limit: Int = 7) async throws -> [ChunkID] {
  var result: [ChunkID] = []
  var position: ChunkListPosition?
  repeat {
    let page = try await store.list(from: position, limit: limit)
    result += page.chunks
    position = try page.next.map { try ChunkListPosition(bytes: $0.bytes) }
  } while position != nil
  return result
}
