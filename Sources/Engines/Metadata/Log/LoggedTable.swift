/// A table as snapshots and the change log carry it: neutral of the database that it lies in.
///
/// Numbers and the order of columns are frozen. A migration adds columns at the end; a row with
/// fewer columns than the table has leaves the others at their defaults.
public struct LoggedTable: Sendable {
  /// Its number in records.
  public let number: UInt8
  /// Its name.
  public let name: String
  /// How many of the columns, the first ones, are its primary key.
  public let keyCount: Int
  /// The columns, those of the key first.
  public let columns: [String]
  /// Whether changes go to the log; otherwise only snapshots carry it.
  public let isLogged: Bool
  /// Whether the number of a placement stands for its stores, which records carry as one more
  /// value behind the columns.
  public let hasPlacement: Bool
  /// Whether the database gives numbers to new rows.
  public let isNumbered: Bool

  private init(
    _ number: UInt8, _ name: String, key: String, _ columns: String, isLogged: Bool = true,
    hasPlacement: Bool = false, isNumbered: Bool = false
  ) {
    self.number = number
    self.name = name
    let keys = Self.words(key)
    keyCount = keys.count
    self.columns = keys + Self.words(columns)
    self.isLogged = isLogged
    self.hasPlacement = hasPlacement
    self.isNumbered = isNumbered
  }

  private static func words(_ text: String) -> [String] {
    text.split(separator: " ").map(String.init)
  }

  /// The columns as a query names them, the stores of a placement behind them.
  var selection: String {
    let list = columns.joined(separator: ", ")
    guard hasPlacement else { return list }
    return list + ", (SELECT p.stores FROM placements p WHERE p.id = placement_id)"
  }

  /// The columns of the key as a query names them.
  var keySelection: String { columns.prefix(keyCount).joined(separator: ", ") }

  /// How many values a whole row has.
  public var valueCount: Int { columns.count + (hasPlacement ? 1 : 0) }

  /// The table of that number, nil when there is none.
  public static func numbered(_ number: UInt8) -> LoggedTable? { byNumber[number] }

  /// The table of that name, nil when records do not carry it.
  static func named(_ name: Substring) -> LoggedTable? { byName[String(name)] }

  private static let byNumber = Dictionary(uniqueKeysWithValues: all.map { ($0.number, $0) })
  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// All of them, in an order in which rows can be put into empty tables.
  ///
  /// Not among them: what is counted anew (`bucket_usage`, `usage_deltas`), what a new installation
  /// makes itself (`placements`, `writers`, `leases`), what is found again by looking at the stores
  /// (`repair_queue`, `metadata_snapshots`), and the marks of changes.
  public static let all: [LoggedTable] = identity + objects + uploads + others

  private static let identity = [
    LoggedTable(1, "settings", key: "name", "value"),
    LoggedTable(2, "encryption_keys", key: "number", "wrapped master_check created_ms"),
    LoggedTable(3, "tenants", key: "id", "name created_ms", isNumbered: true),
    LoggedTable(
      4, "users", key: "id", "tenant_id name email role disabled password_hash created_ms",
      isNumbered: true),
    LoggedTable(
      5, "access_keys", key: "id",
      """
      user_id secret bearer_digest note revoked expires_ms rate_limit session_policy parent \
      created_ms
      """),
    LoggedTable(
      6, "policies", key: "id", "tenant_id kind subject name document updated_ms",
      isNumbered: true),
    LoggedTable(
      7, "buckets", key: "id",
      """
      tenant_id name owner_id purpose versioning object_lock quota_bytes quota_objects created_ms
      """, isNumbered: true),
    LoggedTable(8, "bucket_config", key: "bucket_id kind", "document updated_ms"),
  ]

  private static let objects = [
    LoggedTable(
      9, "objects", key: "bucket_id key",
      """
      version null_version sequence live size etag modified_ms owner_id storage_class checksum_kind
      """),
    LoggedTable(
      10, "object_versions", key: "id",
      """
      bucket_id key sequence nonce kind size etag modified_ms owner_id storage_class checksum_kind \
      checksum attributes tags part_count extent_count upload_id lock_mode retain_until_ms legal_hold
      """),
    LoggedTable(11, "inline_data", key: "version", "extent wrapped_key transform data"),
    LoggedTable(
      12, "version_extents", key: "version start ordinal",
      "length part_number extent checksum_kind checksum"),
    LoggedTable(
      13, "extents", key: "id",
      """
      data_count parity_count plaintext_length transform wrapped_key digests generation missing \
      spread kek verified_ms
      """, hasPlacement: true),
    LoggedTable(14, "tombstones", key: "extent", "unconfirmed created_ms", hasPlacement: true),
  ]

  private static let uploads = [
    LoggedTable(
      15, "multipart_uploads", key: "id",
      "nonce bucket_id key initiated_ms owner_id attributes tags storage_class checksum_kind"),
    LoggedTable(
      16, "multipart_parts", key: "upload number",
      "size etag modified_ms checksum_kind checksum extent"),
    LoggedTable(
      17, "upload_sessions", key: "id",
      "user_id bucket_id name state size content_type sha256 created_ms updated_ms"),
  ]

  private static let others = [
    LoggedTable(
      18, "storage_servers", key: "id", "address zone state version heartbeat_ms joined_ms",
      isLogged: false),
    LoggedTable(
      19, "stores", key: "id",
      "server_id ordinal state weight capacity available chunk_count updated_ms", isLogged: false),
    LoggedTable(
      20, "event_outbox", key: "id", "bucket_id key event payload created_ms", isLogged: false,
      isNumbered: true),
    LoggedTable(
      21, "jobs", key: "id",
      "kind state owner_id document progress attempts not_before_ms created_ms updated_ms",
      isLogged: false, isNumbered: true),
    LoggedTable(
      22, "quarantine", key: "extent",
      """
      kind bucket key version part_number size modified_ms data_count parity_count stores found_ms
      """),
  ]

  /// Settings that say something of this database and this process only.
  public static let localSettings: Set<String> = [
    "change_log", "hold_sweep", "restored", "scrub_cursor", "scrub_finished",
    "writer_epoch_lock", "encryption_keys_lock",
  ]

  /// Whether a row of it, or its key, is of no use in another database.
  func isLocal(_ values: [SQLValue]) -> Bool {
    guard number == 1, case .text(let name)? = values.first else { return false }
    return Self.localSettings.contains(name)
  }
}
