import Base
import ChunkRPC
import ChunkStore
import Disk
import HTTPServer
import Metadata
import ObjectEngine
import Recovery
import Runtime
import Synchronization

/// Counters in Prometheus' text form.
struct MetricsPage: Sendable {
  let engine: ObjectEngine
  /// The cache that gateways share; nil where there is none.
  let cache: (any FactCache)?
  /// The storage servers of a cluster; nil where there are none.
  let servers: GuardedStorageServers?
  /// What was asked of them; nil where there are none.
  let calls: RPCCounters?
  let recovery: MetadataRecovery

  func handle(_ request: HTTPRequest) -> HTTPResponse {
    guard request.head.path.elementsEqual("/metrics".utf8), request.head.method == .get else {
      return HTTPResponse(status: 404)
    }
    var page = MetricsText()
    page.addDiskCounters()
    page.gauge("s3storage_buffers_used_bytes", "Memory lent to transfers.", engine.buffers.used)
    page.gauge(
      "s3storage_buffers_waiting", "Transfers that wait for memory.", engine.buffers.waiting)
    page.counter(
      "s3storage_buffer_waits_total", "Times that a transfer had to wait for memory.",
      engine.buffers.waits)
    if let statistics = cache?.statistics {
      page.counter(
        "s3storage_cache_hits_total", "Questions that the cache answered.", statistics.hits)
      page.counter(
        "s3storage_cache_misses_total", "Questions that the cache did not answer.",
        statistics.misses)
      page.counter(
        "s3storage_cache_failures_total", "Calls of the cache that failed.", statistics.failures)
    }
    add(recovery.logStatus, to: &page)
    let reads = engine.pace.counts
    page.counter("s3storage_block_read_total", "Reads of chunks for objects.", reads.reads)
    page.counter(
      "s3storage_hedged_read_total", "Of these, reads made because others were slow.",
      reads.hedges)
    if let servers { add(servers.breakers, to: &page) }
    if let calls { add(calls.snapshot, to: &page) }
    return HTTPResponse(
      status: 200, headers: [("content-type", "text/plain; version=0.0.4")],
      body: .bytes(Array(page.text.utf8)))
  }

  private func add(_ breakers: [ServerID: CircuitBreaker], to page: inout MetricsText) {
    let labelled = breakers.map { (labels: "server=\"\($0)\"", breaker: $1) }
      .sorted { $0.labels < $1.labels }
    page.gauges(
      "s3storage_circuit_breaker_closed", "Whether this gateway calls the storage server freely.",
      labelled.map { ($0.labels, $0.breaker.state == .closed ? 1 : 0) })
    page.counters(
      "s3storage_circuit_breaker_openings_total", "How often the server's circuit breaker opened.",
      labelled.map { ($0.labels, $0.breaker.counts.openings) })
    page.counters(
      "s3storage_circuit_breaker_refusals_total", "Calls that the open circuit breaker refused.",
      labelled.map { ($0.labels, $0.breaker.counts.refusals) })
  }

  private func add(_ calls: RPCCounters.Snapshot, to page: inout MetricsText) {
    page.counters(
      "grpc_request_total", "Calls of storage servers that have ended.",
      calls.requests.map {
        ("method=\"\($0.method)\",status=\"\($0.status)\"", $0.count)
      })
    page.gauge("grpc_request_active", "Calls of storage servers that run.", calls.active)
    page.counter(
      "grpc_stream_messages_sent", "Messages sent to storage servers.", calls.messagesSent)
    page.counter(
      "grpc_stream_messages_received", "Messages received from storage servers.",
      calls.messagesReceived)
  }

  private func add(_ log: ChangeLogStatus, to page: inout MetricsText) {
    guard log.isOn else { return }
    page.gauge(
      "s3storage_change_log_wanted_copies", "Stores that each change should be logged in.",
      log.wantedCopies)
    page.gauge(
      "s3storage_change_log_available_copies", "Stores that take the change log, of those wanted.",
      log.availableCopies)
    page.gauge(
      "s3storage_change_log_last_copies", "Stores that took the last change.",
      log.lastCopies ?? log.availableCopies)
    page.gauge(
      "s3storage_change_log_short_pieces", "Pieces of the log that lack copies.", log.shortPieces)
    page.counter(
      "s3storage_change_log_failures_total", "Groups of changes that no store took.",
      log.failedGroups)
  }
}
