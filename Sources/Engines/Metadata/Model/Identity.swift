public import Base

/// Someone who may use the system.
public struct User: Hashable, Sendable {
  /// What a user may do before any policy is asked.
  public enum Role: String, Sendable {
    /// Everything, the Admin API included.
    case administrator
    /// Own buckets and files.
    case user
  }

  /// The row.
  public var id: UserID
  /// The tenant.
  public var tenant: Int64
  /// The name, unique in the tenant.
  public var name: String
  /// The mail address, if given.
  public var email: String?
  /// What the user may do.
  public var role: Role
  /// Whether the user's keys are refused.
  public var isDisabled: Bool
  /// When the user was made.
  public var created: Timestamp

  /// Makes a user of its fields.
  public init(
    id: UserID, tenant: Int64, name: String, email: String?, role: Role, isDisabled: Bool,
    created: Timestamp
  ) {
    self.id = id
    self.tenant = tenant
    self.name = name
    self.email = email
    self.role = role
    self.isDisabled = isDisabled
    self.created = created
  }
}

/// A pair of access key and secret.
public struct AccessKey: Hashable, Sendable {
  /// The public half, unique everywhere.
  public var id: String
  /// Whose it is.
  public var user: UserID
  /// The secret half, sealed.
  public var sealedSecret: [UInt8]
  /// SHA-256 of the bearer form, so that a bearer key is found without unsealing.
  public var bearerDigest: [UInt8]
  /// A note for people.
  public var note: String
  /// Whether it was revoked.
  public var isRevoked: Bool
  /// When it ends; nil for never.
  public var expires: Timestamp?
  /// When it was made.
  public var created: Timestamp

  /// Makes a key of its fields.
  public init(
    id: String, user: UserID, sealedSecret: [UInt8], bearerDigest: [UInt8], note: String,
    isRevoked: Bool, expires: Timestamp?, created: Timestamp
  ) {
    self.id = id
    self.user = user
    self.sealedSecret = sealedSecret
    self.bearerDigest = bearerDigest
    self.note = note
    self.isRevoked = isRevoked
    self.expires = expires
    self.created = created
  }
}

/// A key-encryption key as metadata keeps it.
public struct StoredEncryptionKey: Hashable, Sendable {
  /// Its number, from 1.
  public var number: UInt32
  /// The key, wrapped by the master key.
  public var wrapped: [UInt8]
  /// Tells whether a master key is the one that wrapped it, without unwrapping.
  public var masterCheck: [UInt8]
  /// When it was made.
  public var created: Timestamp

  /// Makes a key of its fields.
  public init(number: UInt32, wrapped: [UInt8], masterCheck: [UInt8], created: Timestamp) {
    self.number = number
    self.wrapped = wrapped
    self.masterCheck = masterCheck
    self.created = created
  }
}
