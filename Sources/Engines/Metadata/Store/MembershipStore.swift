/// Storage servers and their stores, as all gateways see them.
public protocol MembershipStore: Sendable {
  /// Adds a storage server and its stores, or brings what is known of them up to date (address,
  /// zone, version, new stores). A server that had left comes back as active.
  ///
  /// Throws `alreadyExists` when one of the stores belongs to another server that has not left.
  func register(_ server: StorageServerRegistration) async throws
}
