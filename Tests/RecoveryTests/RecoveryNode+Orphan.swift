import Metadata
import ObjectEngine
import Sealing

extension RecoveryNode {
  /// An object, or a part of one, whose chunks are durable and whose commit never came.
  @discardableResult
  func orphan(
    _ key: String, _ content: [UInt8], kind: ExtentDescriptor.Kind = .object
  ) async throws -> Extent {
    let bucket = try await bucket("bucket")
    return try await engine.writeExtent(
      engine.writer.nextExtent(), from: ArraySource(content)
    ) { size in
      var result = ExtentDescriptor(
        kind: kind, bucketID: Int(bucket.id.number), bucketName: bucket.name,
        key: Array(key.utf8), tenantID: 1, ownerID: 1, sequence: 0,
        lastModified: fixture.clock.now, byteCount: Int(size))
      result.headers = [.init(name: "content-type", value: "text/plain")]
      return result
    }
  }
}
