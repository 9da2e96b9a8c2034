import Base
import ChunkRPC
import ChunkStore
import Disk
import HTTPServer
import Synchronization

/// Counters of a storage server in Prometheus' text form, and whether it lives.
struct StorageServerMetrics: Sendable {
  let stores: LocalStores
  let server: ChunkRPCServer

  func handle(_ request: HTTPRequest) async -> HTTPResponse {
    guard request.head.method == .get else { return HTTPResponse(status: 405) }
    if request.head.path.elementsEqual("/health".utf8) {
      return HTTPResponse(
        status: 200, headers: [("content-type", "application/json")],
        body: .bytes(Array("{\"status\":\"ok\"}\n".utf8)))
    }
    guard request.head.path.elementsEqual("/metrics".utf8) else {
      return HTTPResponse(status: 404)
    }
    return HTTPResponse(
      status: 200, headers: [("content-type", "text/plain; version=0.0.4")],
      body: .bytes(Array(await text().utf8)))
  }

  private func text() async -> String {
    var page = MetricsText()
    page.addDiskCounters()
    var health: [(labels: String, health: StoreHealth)] = []
    for store in stores.all { health.append(("store=\"\(store.id)\"", await store.health())) }
    page.gauges(
      "storage_server_health", "1 for a store that reads and writes.",
      health.map { ($0.labels, $0.health.state == .active ? 1 : 0) })
    page.gauges(
      "storage_chunk_count", "Chunks that the store keeps.",
      health.map { ($0.labels, $0.health.chunkCount) })
    page.gauges(
      "storage_disk_usage_bytes", "Bytes in use on the store's disk.",
      health.map { ($0.labels, $0.health.used) })
    page.gauges(
      "storage_disk_available_bytes", "Bytes that may still be written to the store's disk.",
      health.map { ($0.labels, $0.health.free) })
    return page.text
  }
}
