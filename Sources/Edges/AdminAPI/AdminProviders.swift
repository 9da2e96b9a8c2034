public import Base
public import Cluster
public import Recovery
public import Runtime
public import Trust

/// What the Admin API needs of the process that it runs in: one set of these is given to
/// `AdminService`. All may be called from any task.
public struct AdminProviders: Sendable {
  /// What the installation is.
  public var installation: any InstallationDescribing
  /// Verifies and repairs; nil when this process does not.
  public var scrubbing: (any Scrubbing)?
  /// The background workers; nil when this process has none.
  public var workers: (any WorkerReporting)?
  /// Copies of the metadata; nil when this process cannot make them.
  public var backups: (any BackupProviding)?
  /// The master key; nil when this process must not show it.
  public var masterKey: (any MasterKeyManaging)?
  /// Admits storage servers; nil when this process does not.
  public var enrolment: EnrolmentService?
  /// What operators do with storage servers; nil where there are none.
  public var servers: ClusterAdministration?
  /// The metadata in the stores; nil when this process does not keep it there.
  public var recovery: MetadataRecovery?

  /// Puts a set together.
  public init(
    installation: any InstallationDescribing, scrubbing: (any Scrubbing)?,
    workers: (any WorkerReporting)?, backups: (any BackupProviding)?,
    masterKey: (any MasterKeyManaging)?
  ) {
    self.installation = installation
    self.scrubbing = scrubbing
    self.workers = workers
    self.backups = backups
    self.masterKey = masterKey
  }
}

/// Tells what the process knows of itself.
public protocol InstallationDescribing: Sendable {
  /// The version of the program.
  var version: String { get }
  /// When the process started.
  var started: Timestamp { get }
  /// The device that each store lies on: two stores with the same text are lost together.
  func devices() async -> [StoreID: String]
}

/// How far a scrub is.
public struct ScrubProgress: Hashable, Sendable {
  /// What it does.
  public enum State: Hashable, Sendable {
    /// None has run since the start of the process.
    case idle
    /// One runs.
    case running
    /// The last one came to its end.
    case finished
    /// The last one did not; why.
    case failed(String)
  }

  /// What it does.
  public var state: State
  /// When the running or last one began.
  public var started: Timestamp?
  /// When the last one ended; nil while one runs.
  public var finished: Timestamp?
  /// Extents whose chunks were looked at.
  public var extents: Int
  /// Extents that there are, as far as it is known.
  public var totalExtents: Int?
  /// Chunks that were verified.
  public var chunks: Int
  /// Chunks that are not there.
  public var missingChunks: Int
  /// Chunks whose content is not what was written.
  public var corruptChunks: Int
  /// Chunks that could not be looked at, since their store is away.
  public var unreachableChunks: Int
  /// Chunks that were made again.
  public var repairedChunks: Int
  /// Bad chunks that could not be made again yet: they stay queued.
  public var unrepairedChunks: Int
  /// Extents that have too few good chunks to be read.
  public var unreadableExtents: Int
  /// Objects kept in the metadata that were opened.
  public var inlineObjects: Int
  /// Those that do not open under their key.
  public var corruptInlineObjects: Int

  /// Whether everything that was looked at is whole now.
  public var isClean: Bool {
    unrepairedChunks == 0 && unreachableChunks == 0 && unreadableExtents == 0
      && corruptInlineObjects == 0
  }

  /// The progress of no scrub.
  public init() {
    state = .idle
    extents = 0
    chunks = 0
    missingChunks = 0
    corruptChunks = 0
    unreachableChunks = 0
    repairedChunks = 0
    unrepairedChunks = 0
    unreadableExtents = 0
    inlineObjects = 0
    corruptInlineObjects = 0
  }
}

/// Verifies every chunk of every extent and has the bad ones made again.
public protocol Scrubbing: Sendable {
  /// Starts a scrub unless one runs, and returns at once: from then on `scrubProgress` tells of
  /// it.
  func startScrub() async throws
  /// How far it is.
  func scrubProgress() async -> ScrubProgress
}

/// How a background worker is.
public struct WorkerStatus: Hashable, Sendable {
  /// What it is called.
  public var name: String
  /// A word for what it does now, such as `waiting` or `running`.
  public var state: String
  /// When it last began a round.
  public var lastRun: Timestamp?
  /// Rounds since the start of the process.
  public var runs: Int
  /// Rounds that failed.
  public var failures: Int
  /// Why the last round failed; nil when it did not.
  public var lastError: String?
  /// What it has done since the start of the process, such as chunks made again.
  public var itemsDone: Int
  /// What it is at, or what is in its way; may be empty.
  public var detail: String

  /// Makes a status of its fields.
  public init(
    name: String, state: String, lastRun: Timestamp?, runs: Int, failures: Int,
    lastError: String?, itemsDone: Int, detail: String
  ) {
    self.name = name
    self.state = state
    self.lastRun = lastRun
    self.runs = runs
    self.failures = failures
    self.lastError = lastError
    self.itemsDone = itemsDone
    self.detail = detail
  }
}

/// Tells how the background workers are.
public protocol WorkerReporting: Sendable {
  /// All of them, in a fixed order.
  func workers() async -> [WorkerStatus]
}

/// Makes copies of the metadata while the server runs.
public protocol BackupProviding: Sendable {
  /// Makes a consistent copy and opens it. The copy's file is gone when the reader is closed, and
  /// also when the process ends before.
  func makeBackup() async throws -> any BackupReading
}

/// A copy of the metadata that is read from its beginning to its end, by one task at a time.
public protocol BackupReading: AnyObject, Sendable {
  /// Bytes in all.
  var byteCount: Int { get }
  /// Puts the next bytes at the start of the buffer, as many as it holds or are left, and returns
  /// how many; 0 at the end.
  func read(into buffer: AlignedBuffer) async throws -> Int
  /// Lets go of the copy. Done by the last reference too.
  func close()
}

/// Why the master key cannot be shown or changed.
public enum MasterKeyError: Error, Hashable, Sendable {
  /// A rotation runs, or ended without showing which key is in force; a restart finds that out.
  case rotationUnfinished
  /// Too few stores can take the keys that a new master key wraps: nothing was changed.
  case tooFewStores
}

/// Settings of the installation that the Admin API keeps in its metadata.
public enum AdminSettings {
  /// When the master key in force was exported, as text; empty when it was not.
  public static let masterKeyExported = "master_key_exported"
}

/// Keeps the master key. Both functions throw `MasterKeyError`, or what metadata or disk throw.
public protocol MasterKeyManaging: Sendable {
  /// The text of the master key file in force.
  func exportText() async throws -> String
  /// Puts a new master key in force: keys are wrapped anew, data stays as it is.
  ///
  /// When this throws `tooFewStores` or what a disk throws before the commit, the old key is in force
  /// still; after `rotationUnfinished` both files are kept until it is called again, or a restart.
  func rotate() async throws
}
