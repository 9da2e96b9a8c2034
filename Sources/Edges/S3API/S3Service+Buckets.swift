import Access
import Base
import HTTPServer
import Metadata
import S3Wire

extension S3Service {
  func listBuckets(_ call: S3Call) async throws -> HTTPResponse {
    let user = call.identity.user
    let prefix = try call.query.text("prefix") ?? ""
    let pageSize = try Parameters.bucketCount(call.query)
    let isElsewhere = try call.query.text("bucket-region").map { $0 != region } ?? false
    var after = ""
    if let text = try call.query.text("continuation-token") {
      after = String(decoding: try ContinuationToken(text).after, as: UTF8.self)
    }
    var buckets: [Bucket] = []
    // Without `max-buckets` all buckets come in one answer, as clients of old expect. One more than
    // is asked for tells whether there are others.
    let wanted = isElsewhere ? 0 : pageSize.map { $0 + 1 } ?? .max
    while buckets.count < wanted {
      let limit = min(wanted - buckets.count, Parameters.maximumPage)
      let page = try await metadata.listBuckets(
        tenant: user.tenant, owner: call.identity.isAdministrator ? nil : user.id, purpose: .s3,
        prefix: prefix, after: buckets.last?.name ?? after, limit: limit)
      buckets += page
      if page.count < limit { break }
    }
    var token: String?
    if let pageSize, buckets.count > pageSize {
      buckets.removeLast(buckets.count - pageSize)
      token = buckets.last.map { ContinuationToken(after: Array($0.name.utf8)).text }
    }
    return Self.xml(
      S3Response.listBuckets(
        buckets.map { BucketRow(name: $0.name, created: $0.created, region: region) },
        owner: Self.owner(user), prefix: prefix.isEmpty ? nil : prefix, nextToken: token))
  }

  func createBucket(_ call: S3Call) async throws -> HTTPResponse {
    let name = try call.bucketName()
    try Self.check(.ofBucket, of: call, is: call.identity.user.id)
    try Self.refuseOwnership(call)
    try Self.refuseACL(call)
    if call.headers.text("x-amz-bucket-object-lock-enabled")?.lowercased() == "true" {
      throw S3Error.notImplemented(header: "x-amz-bucket-object-lock-enabled")
    }
    try CreateBucketBody(try await document(call)).check(region: region)
    let user = call.identity.user
    _ = try await metadata.createBucket(
      name: name, tenant: user.tenant, owner: user.id, purpose: .s3)
    return HTTPResponse(status: 200, headers: [("location", "/\(name)")])
  }

  /// Throws unless the objects of a new bucket are to belong to its owner: there are no access
  /// control lists that another ownership would need.
  private static func refuseOwnership(_ call: S3Call) throws(S3Error) {
    let name = "x-amz-object-ownership"
    switch try call.headers.single(name) {
    case nil, "BucketOwnerEnforced": return
    case "BucketOwnerPreferred", "ObjectWriter": throw .notImplemented(header: name)
    case .some(let value):
      throw .invalidArgument("Invalid \(name) header", name: name, value: value)
    }
  }

  func headBucket(_ call: S3Call) async throws -> HTTPResponse {
    _ = try await bucket(call)
    return HTTPResponse(status: 200, headers: [("x-amz-bucket-region", region)])
  }

  func deleteBucket(_ call: S3Call) async throws -> HTTPResponse {
    let bucket = try await bucket(call)
    try await metadata.deleteBucket(bucket.id)
    buckets.remove(bucket.name, tenant: call.identity.user.tenant)
    return HTTPResponse(status: 204)
  }

  func getBucketLocation(_ call: S3Call) async throws -> HTTPResponse {
    _ = try await bucket(call)
    return Self.xml(S3Response.bucketLocation(region: region))
  }

  /// A user as S3 shows an owner.
  static func owner(_ user: User) -> S3Owner {
    S3Owner(id: ownerID(user.id), displayName: user.name)
  }

  /// Whether a text has the form of a canonical user id: 64 hexadecimal digits.
  static func isOwnerID(_ text: String) -> Bool {
    text.utf8.count == 64 && Hex.decode(text) != nil
  }

  /// A user's id in the form of a canonical user id.
  static func ownerID(_ id: UserID) -> String {
    let text = String(id.number, radix: 16)
    return String(repeating: "0", count: max(0, 64 - text.utf8.count)) + text
  }
}
