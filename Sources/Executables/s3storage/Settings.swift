import Runtime

/// Every setting, and which of them a command takes.
enum Settings {
  static let port = ConfigurationOption.Kind.number(0...65_535)
  private static let largest = Int(Int32.max)

  /// Those of `serve`.
  static let embedded = listeners + storage + stores + limits + work + logging
  /// Those of `gateway`.
  static let gateway = listeners + storage + limits + work + logging + database + membership
  /// Those of `storage-server`.
  static let storageServer =
    [dataDirectory, drives, unsafeSyncs, bufferBudget, inputThreads, shutdown] + stores + logging
    + chunkService
  /// Those of `migrate` and `cluster init`.
  static let administration = [dataDirectory, masterKeyFile] + logging + database
  /// All of them, each name once.
  static let all: [ConfigurationOption] = {
    var names = Set<String>()
    return (embedded + gateway + storageServer).filter { names.insert($0.name).inserted }
  }()

  private static let listeners = [
    ConfigurationOption(
      "S3_PORT", port, unit: "port", standard: "9000", "Where the S3 API listens."),
    ConfigurationOption(
      "HTTP_PORT", port, unit: "port", standard: "8080", "Where the Files API listens."),
    ConfigurationOption(
      "ADMIN_PORT", port, unit: "port", standard: "9001", "Where the Admin API listens."),
    ConfigurationOption(
      "METRICS_PORT", port, unit: "port", standard: "9090",
      "Where metrics are served, on loopback; a storage server: 9091."),
    ConfigurationOption(
      "BIND_ADDRESS", .text, unit: "address", standard: "0.0.0.0",
      "Which address the S3 and Files APIs listen on."),
    ConfigurationOption(
      "ADMIN_BIND_ADDRESS", .text, unit: "address", standard: "127.0.0.1",
      "Which address the Admin API listens on."),
    ConfigurationOption(
      "TLS_CERT", .text, unit: "file", standard: "",
      "Certificate chain in PEM; with TLS_KEY, all listeners but metrics speak TLS."),
    ConfigurationOption("TLS_KEY", .text, unit: "file", standard: "", "Private key in PEM."),
    ConfigurationOption(
      "S3_REGION", .text, unit: "region", standard: "us-east-1", "The region of all buckets."),
    ConfigurationOption(
      "S3_DOMAIN", .text, unit: "host names", standard: "",
      "Domains below which a label names a bucket, separated by commas."),
  ]

  private static let dataDirectory = ConfigurationOption(
    "DATA_DIR", .text, unit: "directory", standard: "./data", "Where everything is kept.")
  private static let drives = ConfigurationOption(
    "DRIVES", .text, unit: "directories", standard: "",
    "One directory for each store, separated by commas; by default six (a storage server: one) in DATA_DIR."
  )
  private static let masterKeyFile = ConfigurationOption(
    "MASTER_KEY_FILE", .text, unit: "file", standard: "",
    "The master key; by default keys/master.key in DATA_DIR.")
  private static let unsafeSyncs = ConfigurationOption(
    UnsafeSyncs.setting, .number(0...1), unit: "0 or 1", standard: "0",
    "UNSAFE: 1 leaves out every sync; acknowledged data is lost at a power cut.")

  private static let storage = [
    dataDirectory, drives, masterKeyFile,
    ConfigurationOption(
      "ERASURE_SCHEME", .text, unit: "k+m", standard: "4+2",
      "Data and parity chunks of an extent; for new extents."),
    ConfigurationOption(
      "ROOT_ACCESS_KEY", .text, unit: "access key", standard: "",
      "Access key of the root user; by default made on first start."),
    ConfigurationOption(
      "ROOT_SECRET_KEY", .secret, unit: "secret key", standard: "",
      "Secret key of the root user."),
    unsafeSyncs,
  ]

  private static let stores = [
    ConfigurationOption(
      "STORE_RESERVE_PERCENT", .number(0...50), unit: "percent", standard: "5",
      "Free space below which a store takes no writes."),
    ConfigurationOption(
      "STORE_RESERVE_BYTES", .number(0...(1 << 50)), unit: "bytes", standard: "1073741824",
      "Free space below which a store takes no writes, if that is more."),
  ]

  private static let bufferBudget = ConfigurationOption(
    "BUFFER_BUDGET", .number((32 << 20)...largest << 8), unit: "bytes", standard: "335544320",
    "Memory of all transfers together.")
  private static let inputThreads = ConfigurationOption(
    "IO_THREADS", .number(1...1024), unit: "threads", standard: "16",
    "Threads for disks and computation.")
  private static let shutdown = ConfigurationOption(
    "SHUTDOWN_SECONDS", .number(0...3600), unit: "seconds", standard: "30",
    "How long running requests may go on after a stop.")

  private static let limits = [
    ConfigurationOption(
      "INLINE_LIMIT", .number(0...65_520), unit: "bytes", standard: "16384",
      "S3 objects up to this size are kept in metadata."),
    bufferBudget,
    ConfigurationOption(
      "MAX_CONNECTIONS", .number(1...1_000_000), unit: "connections", standard: "10000",
      "Connections at a time."),
    ConfigurationOption(
      "EVENT_LOOPS", .number(0...256), unit: "threads", standard: "0",
      "Threads that serve connections; 0 for one a core."),
    inputThreads, shutdown,
  ]

  private static let work = [
    ConfigurationOption(
      "GC_DELAY_SECONDS", .number(0...86_400 * 365), unit: "seconds", standard: "900",
      "How long chunks of deleted objects are kept."),
    ConfigurationOption(
      "CLEANUP_SECONDS", .number(1...86_400), unit: "seconds", standard: "300",
      "How often abandoned uploads of files are looked for."),
    ConfigurationOption(
      "UPLOAD_SESSION_SECONDS", .number(1...86_400 * 30), unit: "seconds", standard: "3600",
      "How long an upload of a file may rest before it counts as abandoned."),
    ConfigurationOption(
      "SCRUB_DAYS", .number(0...3650), unit: "days", standard: "30",
      "Every chunk is verified once in this time; 0 for never."),
  ]

  static let logging = [
    ConfigurationOption(
      "SNAPSHOT_SECONDS", .number(0...86_400 * 365), unit: "seconds", standard: "21600",
      "How often a snapshot of the metadata is put into the stores; 0 for on request only."),
    ConfigurationOption(
      "CHANGE_LOG", .text, unit: "auto, on or off", standard: "auto",
      "Whether changes go to a log in the stores before they are acknowledged; auto: where stores "
        + "lie on another device than the metadata."),
    ConfigurationOption(
      "LOG_LEVEL", .text, unit: "level", standard: "info",
      "debug, info, warning, error or fatal."),
    CipherChoice.option,
  ]
}
