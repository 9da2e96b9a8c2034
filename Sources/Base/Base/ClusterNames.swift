/// The names that certificates of an installation carry, as DNS names of subject alternative names.
/// They say who somebody is, not where: no resolver knows them.
public enum ClusterNames {
  /// What each gateway's certificate names: only its holder may call a storage server.
  public static let gateway = "gateway.s3storage.internal"

  /// What a storage server's certificate names: a gateway that calls it expects just this one.
  public static func server(_ id: ServerID) -> String { "\(id).server.s3storage.internal" }
}
