/// The first migration: every table that release 1 needs, those of later features included, since
/// what lies in users' databases is dear to change.
///
/// Written in the common part of SQLite and PostgreSQL. Five words stand for what differs:
/// `@blob` for bytes (`BLOB`, `BYTEA`), `@text` for text compared byte by byte (`TEXT`,
/// `TEXT COLLATE "C"`), `@int` for 64-bit numbers (`INTEGER`, `BIGINT`), `@id` for
/// a number that the database gives (`INTEGER PRIMARY KEY AUTOINCREMENT`, `BIGINT GENERATED …
/// PRIMARY KEY`), `@clustered` for a table stored in the order of its primary key
/// (`WITHOUT ROWID`, nothing). Times are milliseconds since the epoch.
enum Migration0001 {
  static let statements: [String] =
    installation + identity + buckets + objects + extents + uploads + cluster + work

  private static let installation = [
    "CREATE TABLE settings(name @text PRIMARY KEY, value @blob NOT NULL) @clustered",
    """
    CREATE TABLE encryption_keys(
      number @int PRIMARY KEY, wrapped @blob NOT NULL, master_check @blob NOT NULL,
      created_ms @int NOT NULL) @clustered
    """,
  ]

  private static let identity = [
    "CREATE TABLE tenants(id @id, name @text NOT NULL UNIQUE, created_ms @int NOT NULL)",
    // The tenant of an installation that has no others; the first row has number 1.
    "INSERT INTO tenants(name, created_ms) VALUES('default', 0)",
    """
    CREATE TABLE users(
      id @id, tenant_id @int NOT NULL REFERENCES tenants(id), name @text NOT NULL, email @text,
      role @text NOT NULL, disabled @int NOT NULL DEFAULT 0, password_hash @blob,
      created_ms @int NOT NULL, UNIQUE(tenant_id, name))
    """,
    """
    CREATE TABLE access_keys(
      id @text PRIMARY KEY, user_id @int NOT NULL REFERENCES users(id), secret @blob NOT NULL,
      bearer_digest @blob NOT NULL UNIQUE, note @text NOT NULL DEFAULT '',
      revoked @int NOT NULL DEFAULT 0, expires_ms @int, rate_limit @int, session_policy @blob,
      parent @text, created_ms @int NOT NULL) @clustered
    """,
    "CREATE INDEX access_keys_by_user ON access_keys(user_id)",
    """
    CREATE TABLE policies(
      id @id, tenant_id @int NOT NULL, kind @text NOT NULL, subject @int NOT NULL,
      name @text NOT NULL, document @blob NOT NULL, updated_ms @int NOT NULL,
      UNIQUE(tenant_id, kind, subject, name))
    """,
  ]

  private static let buckets = [
    """
    CREATE TABLE buckets(
      id @id, tenant_id @int NOT NULL, name @text NOT NULL, owner_id @int NOT NULL,
      purpose @int NOT NULL, versioning @int NOT NULL DEFAULT 0,
      object_lock @int NOT NULL DEFAULT 0, quota_bytes @int, quota_objects @int,
      created_ms @int NOT NULL, UNIQUE(tenant_id, name))
    """,
    """
    CREATE TABLE bucket_config(
      bucket_id @int NOT NULL, kind @text NOT NULL, document @blob NOT NULL,
      updated_ms @int NOT NULL, PRIMARY KEY(bucket_id, kind)) @clustered
    """,
    """
    CREATE TABLE bucket_usage(
      bucket_id @int PRIMARY KEY, objects @int NOT NULL, bytes @int NOT NULL) @clustered
    """,
    """
    CREATE TABLE usage_deltas(
      id @id, bucket_id @int NOT NULL, objects @int NOT NULL, bytes @int NOT NULL)
    """,
  ]

  private static let objects = [
    // One head row per key. It carries what a list shows, so that a page reads no other table.
    """
    CREATE TABLE objects(
      bucket_id @int NOT NULL, key @blob NOT NULL, version @int NOT NULL, null_version @int,
      sequence @int NOT NULL, live @int NOT NULL, size @int NOT NULL, etag @text NOT NULL,
      modified_ms @int NOT NULL, owner_id @int NOT NULL, storage_class @text NOT NULL,
      checksum_kind @int NOT NULL, PRIMARY KEY(bucket_id, key)) @clustered
    """,
    // Lists skip keys whose current version is a delete marker without reading them.
    "CREATE INDEX objects_live ON objects(bucket_id, key) WHERE live = 1",
    // kind: 0 object, 1 delete marker, 2 barred: a commit of unknown outcome that was given up.
    """
    CREATE TABLE object_versions(
      id @int PRIMARY KEY, bucket_id @int NOT NULL, key @blob NOT NULL, sequence @int NOT NULL,
      nonce @int, kind @int NOT NULL, size @int NOT NULL, etag @text NOT NULL,
      modified_ms @int NOT NULL, owner_id @int NOT NULL, storage_class @text NOT NULL,
      checksum_kind @int NOT NULL, checksum @blob, attributes @blob, tags @blob,
      part_count @int NOT NULL, extent_count @int NOT NULL, upload_id @int,
      lock_mode @int, retain_until_ms @int, legal_hold @int)
    """,
    "CREATE UNIQUE INDEX object_versions_by_key ON object_versions(bucket_id, key, sequence)",
    "CREATE INDEX object_versions_by_upload ON object_versions(upload_id) WHERE upload_id IS NOT NULL",
    """
    CREATE TABLE inline_data(
      version @int PRIMARY KEY, extent @blob NOT NULL, wrapped_key @blob NOT NULL,
      transform @int NOT NULL, data @blob NOT NULL)
    """,
    """
    CREATE TABLE version_extents(
      version @int NOT NULL, start @int NOT NULL, ordinal @int NOT NULL, length @int NOT NULL,
      part_number @int NOT NULL, extent @blob NOT NULL,
      checksum_kind @int NOT NULL DEFAULT 0, checksum @blob,
      PRIMARY KEY(version, start, ordinal)) @clustered
    """,
    """
    CREATE UNIQUE INDEX version_extents_by_part ON version_extents(version, part_number)
      WHERE part_number > 0
    """,
  ]

  private static let extents = [
    "CREATE TABLE placements(id @id, stores @blob NOT NULL UNIQUE)",
    // digests: the SHA-256 of each chunk, in the order of the chunks. spread: 1 when a store
    // holds two of them.
    """
    CREATE TABLE extents(
      id @blob PRIMARY KEY, placement_id @int NOT NULL, data_count @int NOT NULL,
      parity_count @int NOT NULL, plaintext_length @int NOT NULL, transform @int NOT NULL,
      wrapped_key @blob NOT NULL, digests @blob NOT NULL, generation @int NOT NULL DEFAULT 0,
      missing @int NOT NULL DEFAULT 0, spread @int NOT NULL DEFAULT 0,
      kek @int NOT NULL DEFAULT 0, verified_ms @int NOT NULL DEFAULT 0) @clustered
    """,
    "CREATE INDEX extents_to_spread ON extents(id) WHERE spread = 1",
    """
    CREATE TABLE tombstones(
      extent @blob PRIMARY KEY, placement_id @int NOT NULL, unconfirmed @int NOT NULL,
      created_ms @int NOT NULL) @clustered
    """,
    "CREATE INDEX tombstones_by_age ON tombstones(created_ms)",
    """
    CREATE TABLE repair_queue(
      extent @blob PRIMARY KEY, chunks @int NOT NULL, survivors @int NOT NULL,
      reason @text NOT NULL, attempts @int NOT NULL DEFAULT 0, not_before_ms @int NOT NULL DEFAULT 0,
      queued_ms @int NOT NULL) @clustered
    """,
    "CREATE INDEX repair_queue_by_need ON repair_queue(survivors, not_before_ms)",
  ]

  private static let uploads = [
    """
    CREATE TABLE multipart_uploads(
      id @int PRIMARY KEY, nonce @int NOT NULL, bucket_id @int NOT NULL, key @blob NOT NULL,
      initiated_ms @int NOT NULL, owner_id @int NOT NULL, attributes @blob, tags @blob,
      storage_class @text NOT NULL, checksum_kind @int NOT NULL)
    """,
    "CREATE UNIQUE INDEX multipart_uploads_by_key ON multipart_uploads(bucket_id, key, id)",
    "CREATE INDEX multipart_uploads_by_age ON multipart_uploads(initiated_ms)",
    """
    CREATE TABLE multipart_parts(
      upload @int NOT NULL, number @int NOT NULL, size @int NOT NULL, etag @text NOT NULL,
      modified_ms @int NOT NULL, checksum_kind @int NOT NULL, checksum @blob,
      extent @blob NOT NULL, PRIMARY KEY(upload, number)) @clustered
    """,
    """
    CREATE TABLE upload_sessions(
      id @blob PRIMARY KEY, user_id @int NOT NULL, bucket_id @int NOT NULL, name @text NOT NULL,
      state @int NOT NULL, size @int NOT NULL, content_type @text NOT NULL, sha256 @blob,
      created_ms @int NOT NULL, updated_ms @int NOT NULL) @clustered
    """,
    "CREATE INDEX upload_sessions_by_user ON upload_sessions(user_id, created_ms, id)",
    "CREATE INDEX upload_sessions_by_state ON upload_sessions(user_id, state, created_ms, id)",
    "CREATE INDEX upload_sessions_open ON upload_sessions(updated_ms) WHERE state < 2",
  ]

  private static let cluster = [
    // state: 0 live, 1 fenced, 2 ended or swept.
    """
    CREATE TABLE writers(
      epoch @int PRIMARY KEY, process @text NOT NULL, state @int NOT NULL, lease_ms @int NOT NULL,
      ring_version @int NOT NULL, oldest_read_ms @int, started_ms @int NOT NULL) @clustered
    """,
    // Makes the state part of a key, so that in PostgreSQL a change of it waits for the key-share
    // locks of commits under way, and no commit slips in behind the fence; renewals do not wait.
    "CREATE UNIQUE INDEX writers_by_state ON writers(epoch, state)",
    // Which transactions of a process were committed, as long as it may have to find out:
    // barred: 1 when one that was not is kept from ever being.
    """
    CREATE TABLE transaction_outcomes(
      process @int NOT NULL, number @int NOT NULL, barred @int NOT NULL,
      created_ms @int NOT NULL, PRIMARY KEY(process, number)) @clustered
    """,
    """
    CREATE TABLE leases(
      name @text PRIMARY KEY, holder @int NOT NULL, fence @int NOT NULL,
      expires_ms @int NOT NULL) @clustered
    """,
    """
    CREATE TABLE storage_servers(
      id @blob PRIMARY KEY, address @text NOT NULL, zone @text NOT NULL, state @int NOT NULL,
      version @text NOT NULL, heartbeat_ms @int NOT NULL, joined_ms @int NOT NULL) @clustered
    """,
    """
    CREATE TABLE stores(
      id @blob PRIMARY KEY, server_id @blob, ordinal @int NOT NULL, state @int NOT NULL,
      weight @int NOT NULL, capacity @int NOT NULL, available @int NOT NULL,
      chunk_count @int NOT NULL, updated_ms @int NOT NULL) @clustered
    """,
  ]

  private static let work = [
    """
    CREATE TABLE event_outbox(
      id @id, bucket_id @int NOT NULL, key @blob NOT NULL, event @text NOT NULL,
      payload @blob NOT NULL, created_ms @int NOT NULL)
    """,
    """
    CREATE TABLE jobs(
      id @id, kind @text NOT NULL, state @int NOT NULL, owner_id @int, document @blob NOT NULL,
      progress @blob, attempts @int NOT NULL DEFAULT 0, not_before_ms @int NOT NULL,
      created_ms @int NOT NULL, updated_ms @int NOT NULL)
    """,
    "CREATE INDEX jobs_by_kind ON jobs(kind, state, not_before_ms)",
  ]
}
