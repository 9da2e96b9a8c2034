import Access
import Metadata
import ObjectEngine

extension FilesService {
  /// The bucket that keeps a user's files; made when it is not there.
  ///
  /// Its name could be taken by an ordinary bucket; then another name is used, which no S3 client
  /// can give to a bucket.
  func filesBucket(of user: User) async throws -> Bucket {
    for name in ["files-\(user.id.number)", "files_\(user.id.number)"] {
      if let bucket = try await existingOrNew(name, user) { return bucket }
    }
    throw FilesError.internalError
  }

  private func existingOrNew(_ name: String, _ user: User) async throws -> Bucket? {
    let metadata = engine.metadata
    var found = try await metadata.bucket(named: name, tenant: user.tenant)
    if found == nil {
      do {
        found = try await metadata.createBucket(
          name: name, tenant: user.tenant, owner: user.id, purpose: .files)
      } catch MetadataError.bucketExists {
        // Another upload of this user was faster.
        found = try await metadata.bucket(named: name, tenant: user.tenant)
      }
    }
    guard let found, found.purpose == .files, found.owner == user.id else { return nil }
    return found
  }
}
