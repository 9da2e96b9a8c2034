import Base
import Checksums
import HTTPServer
import Metadata
import S3Wire

extension S3Service {
  func listObjects(_ call: S3Call) async throws -> HTTPResponse {
    try await list(call, isVersion2: false)
  }

  func listObjectsV2(_ call: S3Call) async throws -> HTTPResponse {
    try await list(call, isVersion2: true)
  }

  private func list(_ call: S3Call, isVersion2: Bool) async throws -> HTTPResponse {
    let request = try ListObjectsRequest(call.query, isVersion2: isVersion2)
    let bucket = try await bucket(call)
    var page = ListPage(rows: [], next: nil)
    if request.pageSize > 0 {
      page = try await metadata.list(
        ListRequest(
          bucket: bucket.id, prefix: request.prefix, delimiter: request.delimiter,
          after: request.after, limit: request.pageSize))
    }
    var owners = OwnerNames(metadata)
    var objects: [ObjectRow] = []
    objects.reserveCapacity(page.rows.count)
    var prefixes: [[UInt8]] = []
    for row in page.rows {
      switch row {
      case .commonPrefix(let prefix): prefixes.append(prefix)
      case .object(let object):
        let owner = request.showsOwner ? try await owners.owner(object.owner) : nil
        objects.append(ObjectRow(object, owner: owner))
      }
    }
    return Self.xml(
      S3Response.listObjects(
        S3Response.ObjectPage(
          bucket: bucket.name, request: request, objects: objects, commonPrefixes: prefixes,
          next: page.next)))
  }

  func listMultipartUploads(_ call: S3Call) async throws -> HTTPResponse {
    let request = try ListUploadsRequest(call.query)
    let bucket = try await bucket(call)
    var page = UploadPage(uploads: [], commonPrefixes: [], nextKey: nil, nextUpload: nil)
    if request.pageSize > 0 {
      page = try await metadata.listUploads(
        UploadListRequest(
          bucket: bucket.id, prefix: request.prefix, delimiter: request.delimiter,
          afterKey: request.keyMarker, afterUpload: OpaqueID(request.uploadIDMarker),
          limit: request.pageSize))
    }
    var owners = OwnerNames(metadata)
    var rows: [UploadRow] = []
    for upload in page.uploads {
      rows.append(UploadRow(upload, owner: try await owners.owner(upload.owner)))
    }
    let next = page.nextKey.map { (key: $0, uploadID: page.nextUpload?.text ?? "") }
    return Self.xml(
      S3Response.listMultipartUploads(
        S3Response.UploadPage(
          bucket: bucket.name, request: request, uploads: rows,
          commonPrefixes: page.commonPrefixes, next: next)))
  }
}

/// The names of the owners on one page, each looked up once.
struct OwnerNames {
  private let metadata: any MetadataStore
  private var known: [UserID: S3Owner] = [:]

  init(_ metadata: any MetadataStore) { self.metadata = metadata }

  mutating func owner(_ id: UserID) async throws -> S3Owner {
    if let owner = known[id] { return owner }
    let name = try await metadata.user(id)?.name ?? ""
    let owner = S3Owner(id: S3Service.ownerID(id), displayName: name)
    known[id] = owner
    return owner
  }
}

extension ObjectRow {
  init(_ object: ListedObject, owner: S3Owner?) {
    self.init(
      key: object.key, lastModified: object.lastModified, etag: object.etag,
      size: Int(object.size), storageClass: object.storageClass, owner: owner,
      checksum: ChecksumKind(object.checksumAlgorithm, isComposite: object.checksumIsComposite))
  }
}

extension UploadRow {
  init(_ upload: MultipartUpload, owner: S3Owner) {
    self.init(
      key: upload.key, uploadID: upload.id.text, initiated: upload.initiated,
      storageClass: upload.storageClass, owner: owner, initiator: owner,
      checksum: ChecksumKind(upload.checksumAlgorithm, isComposite: upload.checksumIsComposite))
  }
}

extension ChecksumKind {
  init?(_ algorithm: UInt8, isComposite: Bool) {
    guard let algorithm = ChecksumAlgorithm(rawValue: algorithm) else { return nil }
    self.init(algorithm: algorithm, type: isComposite ? .composite : .fullObject)
  }
}
