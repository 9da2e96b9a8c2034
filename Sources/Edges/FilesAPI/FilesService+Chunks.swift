import Access
import Base
import ChunkStore
import HTTPServer
import Metadata
import ObjectEngine

extension FilesService {
  /// One chunk as its store and the metadata tell.
  private struct ChunkReport: Sendable {
    var index: Int
    var store: StoreID
    var digest: SHA256Digest
    var size: Int?
    var status: String
  }

  /// `GET /files/{id}/metadata`.
  func describe(_ id: FileID, _ identity: Identity) async throws -> HTTPResponse {
    let record = try await file(id, identity)
    var chunks: [JSONValue] = []
    if record.state == .completed {
      let version = try await version(of: record)
      for link in try await links(of: version) {
        let reports = await report(link.extent)
        // All chunks of an extent have the same length, so that one that is there tells it.
        let size = reports.compactMap(\.size).first
        chunks += reports.map { report in
          [
            "index": .integer(Int64(report.index)), "extent": .integer(Int64(link.ordinal)),
            "server": .string(report.store.description),
            "size": (report.size ?? size).map { .integer(Int64($0)) } ?? .null,
            "sha256": .string(report.digest.description), "status": .string(report.status),
          ]
        }
      }
    }
    return FilesResponse.json(
      200, .object(FilesResponse.file(record) + [.init("chunks", .array(chunks))]))
  }

  private func links(of version: ObjectVersion) async throws -> [ExtentLink] {
    if version.extentCount == 0 { return [] }
    let links = try await engine.metadata.extents(of: version.number, in: 0..<max(1, version.size))
    if !links.isEmpty { return links }
    // An empty file has an extent without bytes.
    return try await engine.metadata.extent(of: version.number, part: 0).map { [$0] } ?? []
  }

  /// Asks the stores of an extent side by side.
  private func report(_ extent: Extent) async -> [ChunkReport] {
    let stores = engine.stores
    return await withTaskGroup(of: ChunkReport.self) { group in
      for (index, (store, digest)) in zip(extent.stores, extent.digests).enumerated() {
        guard let number = UInt8(exactly: index) else { break }
        let chunk = ChunkID(extent: extent.id, index: number)
        group.addTask(executorPreference: engine.pool) {
          var report = ChunkReport(
            index: index, store: store, digest: digest, size: nil, status: "unavailable")
          do throws(ChunkStoreError) {
            guard let status = try await stores[store]?.stat(chunk) else { return report }
            report.size = status.trailer.dataLength
            report.status = status.trailer.sha256 == digest ? "present" : "corrupt"
          } catch .missing {
            report.status = "missing"
          } catch .corrupt {
            report.status = "corrupt"
          } catch {
            report.status = "unavailable"
          }
          return report
        }
      }
      return await group.reduce(into: []) { $0.append($1) }.sorted { $0.index < $1.index }
    }
  }
}
