public import Metadata

/// Who makes a request, once a signature or a bearer key has shown it.
public struct Identity: Hashable, Sendable {
  /// The user.
  public var user: User
  /// The access key that was used.
  public var accessKeyID: String

  /// Makes an identity.
  public init(user: User, accessKeyID: String) {
    self.user = user
    self.accessKeyID = accessKeyID
  }

  /// Whether the user may do everything.
  public var isAdministrator: Bool { user.role == .administrator }
}

/// Why someone may not come in.
public enum AccessError: Error, Hashable, Sendable {
  /// No such key, or one that was revoked, or whose user is disabled, or a wrong secret.
  case invalidKey
  /// The key's time is over.
  case expired
  /// A name or a key that breaks the rules; what is wrong with it.
  case invalidInput(String)
}
