import HTTPServer
import S3Wire

extension S3Service {
  /// Runs the operation of a call. Every implemented operation has its line here; the others were
  /// refused before.
  func perform(_ call: S3Call) async throws -> HTTPResponse {
    switch call.operation {
    case .listBuckets: try await listBuckets(call)
    case .createBucket: try await createBucket(call)
    case .headBucket: try await headBucket(call)
    case .deleteBucket: try await deleteBucket(call)
    case .getBucketLocation: try await getBucketLocation(call)
    case .listObjects: try await listObjects(call)
    case .listObjectsV2: try await listObjectsV2(call)
    case .getObject: try await getObject(call)
    case .headObject: try await headObject(call)
    case .getObjectAttributes: try await getObjectAttributes(call)
    case .putObject: try await putObject(call)
    case .copyObject: try await copyObject(call)
    case .deleteObject: try await deleteObject(call)
    case .deleteObjects: try await deleteObjects(call)
    case .createMultipartUpload: try await createMultipartUpload(call)
    case .uploadPart: try await uploadPart(call)
    case .uploadPartCopy: try await uploadPartCopy(call)
    case .completeMultipartUpload: try await completeMultipartUpload(call)
    case .abortMultipartUpload: try await abortMultipartUpload(call)
    case .listParts: try await listParts(call)
    case .listMultipartUploads: try await listMultipartUploads(call)
    default: throw S3Error(.notImplemented)
    }
  }

  /// An answer with an XML body.
  static func xml(
    _ body: [UInt8], status: Int = 200, headers: [(name: String, value: String)] = []
  ) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: headers + [("content-type", "application/xml")],
      body: .bytes(body))
  }
}
