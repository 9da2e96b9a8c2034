import Access
import Base
import HTTPServer
import Metadata
import ObjectEngine

extension FilesService {
  /// `GET /files`.
  func list(_ head: HTTPRequestHead, _ identity: Identity) async throws -> HTTPResponse {
    let query = try FilesQuery(head.query)
    let page = try query.number("page", in: 1...(1 << 40)) ?? 1
    let size =
      try query.number("per_page", in: 1...configuration.maximumPageSize) ?? configuration.pageSize
    var state: FileRecord.State?
    if let name = query["status"] {
      state = FileRecord.State.allCases.first { $0.name == name }
      guard state != nil else {
        throw FilesError.badRequest("status is pending, uploading, completed or failed")
      }
    }
    let (offset, overflow) = (page - 1).multipliedReportingOverflow(by: size)
    guard !overflow else { throw FilesError.badRequest("page is too large") }
    let (files, total) = try await engine.metadata.listFiles(
      user: identity.user.id, state: state, offset: offset, limit: size)
    return FilesResponse.json(
      200,
      [
        "files": .array(files.map { .object(FilesResponse.file($0)) }),
        "page": .integer(Int64(page)), "per_page": .integer(Int64(size)),
        "total": .integer(Int64(total)),
      ])
  }

  /// `DELETE /files/{id}`.
  func delete(_ id: FileID, _ identity: Identity) async throws -> HTTPResponse {
    let record = try await file(id, identity)
    switch record.state {
    case .pending, .uploading:
      throw FilesError(409, "upload_incomplete", "the upload is \(record.state.name)")
    case .completed, .failed: break
    }
    // The record goes last: as long as it is there, the deletion can be repeated.
    _ = try await engine.delete(bucket: record.bucket, key: record.objectKey)
    do {
      try await engine.metadata.deleteFile(id)
    } catch MetadataError.notFound {
      // Another request deleted it at the same time.
    }
    return HTTPResponse(status: 204)
  }
}

/// The query of a request: few names, each at most once.
struct FilesQuery {
  private var values: [String: String] = [:]

  init(_ query: ArraySlice<UInt8>?) throws(FilesError) {
    guard let query, !query.isEmpty else { return }
    guard query.count <= 2048 else { throw .badRequest("the query is too long") }
    for pair in query.split(separator: UInt8(ascii: "&")) {
      let pieces = pair.split(
        separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = Self.decode(pieces[0]),
        let value = pieces.count > 1 ? Self.decode(pieces[1]) : ""
      else { throw .badRequest("the query is not percent-encoded UTF-8") }
      guard values.updateValue(value, forKey: name) == nil else {
        throw .badRequest("a parameter of the query is there twice")
      }
    }
  }

  subscript(name: String) -> String? { values[name] }

  /// The number of that name; throws when it is none or out of range.
  func number(_ name: String, in range: ClosedRange<Int>) throws(FilesError) -> Int? {
    guard let text = values[name] else { return nil }
    guard text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let number = Int(text), range.contains(number)
    else {
      throw .badRequest("\(name) is a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  private static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
    PercentCoding.decode(bytes, plusAsSpace: true).flatMap { String(validating: $0, as: UTF8.self) }
  }
}
