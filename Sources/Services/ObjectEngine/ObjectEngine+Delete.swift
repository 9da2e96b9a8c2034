public import Metadata
import Runtime

extension ObjectEngine {
  /// Deletes the current object of a key or one version of it; deleting nothing is no error.
  ///
  /// The chunks go later, when no read can need them any more.
  public func delete(
    bucket: BucketID, key: [UInt8], versionID: String? = nil, condition: WriteCondition = .none
  ) async throws -> DeletedVersion {
    CrashPoint.reach(.deleteBeforeCommit)
    let deleted = try await mappingErrors {
      try await metadata.delete(
        bucket: bucket, key: key, versionID: versionID, condition: condition)
    }
    CrashPoint.reach(.deleteCommitted)
    return deleted
  }
}
