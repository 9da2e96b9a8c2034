import Disk

/// What kind of run a seed stands for.
struct SimulationPlan: Sendable {
  /// What goes wrong in a run.
  enum Weather: String, CaseIterable, Sendable {
    /// Nothing: then nothing may fail either.
    case calm
    /// The network loses, resets and cuts.
    case network
    /// Storage servers crash, with and without their machine.
    case crashes
    /// Disks fill up, fail and rot.
    case disks
    /// Gateways die, are stopped for longer than their leases last, and restart.
    case gateways
    /// The database fails, is away, or leaves outcomes unknown.
    case database
    /// Storage servers join, are emptied, weigh otherwise, are lost and return.
    case members
    /// All of it.
    case storm
  }

  /// A bug put into a double, which the simulation must find.
  enum Mutant: String, CaseIterable, Sendable {
    /// Storage servers acknowledge chunks whose bytes are not on stable storage.
    case ignoredSyncs
    /// Storage servers acknowledge chunks whose names are not on stable storage.
    case ignoredDirectorySyncs
    /// Gateways count chunks that no store has taken.
    case liedQuorum
    /// Chunks are deleted at once, reads of other gateways or not.
    case noDeletionDelay
    /// Chunks that nothing names are deleted although their writer lives.
    case sweptLiveEpoch
    /// The database acknowledges what it has not committed.
    case forgottenCommits
    /// Nobody asks whether a writer that commits was fenced.
    case unfencedCommits
    /// Nobody asks whether the lease of background work was taken over.
    case unfencedLeader
    /// A chunk that leaves a server is deleted there before it is durable elsewhere.
    case earlyDrain
    /// A gateway answers look-ups from a cache that nothing invalidates.
    case staleLookUps
    /// A buffer is not given back.
    case leakedBuffer
    /// A server that was given up once is never asked again.
    case stuckBreaker
    /// One server that fails has all of them given up.
    case sharedBreaker
    /// A chunk whose store does not answer is sent again.
    case repeatedWrites
    /// The change log counts as written before it is.
    case earlyLog
    /// A rebuild brings back what was deleted.
    case keptDeleted
    /// What only chunks tell of is not kept apart after a rebuild.
    case lostQuarantine
    /// What is in quarantine is deleted.
    case sweptQuarantine

    /// Whether it shows only when the database is lost.
    var isOfRebuild: Bool {
      switch self {
      case .earlyLog, .keptDeleted, .lostQuarantine, .sweptQuarantine: true
      default: false
      }
    }
  }

  var seed: UInt64
  var weather: Weather
  var mutant: Mutant?
  var clients = 4
  var operations = 12
  var keys = 4
  /// The longest pause of a client between two operations, in milliseconds.
  var pause: Int { weather == .members ? 12_000 : 4000 }
  /// Notes what happens to each chunk as well.
  var isVerbose = false
  /// The whole database is lost once.
  var losesDatabase: Bool
  /// In the end it is made a second time beside itself.
  var comparesRebuild: Bool

  /// What disks only seem to make durable.
  var ignoredSyncs: Set<DiskPath.Kind> {
    switch mutant {
    case .ignoredSyncs: ["volume", "chunk file"]
    case .ignoredDirectorySyncs: ["chunk directory", "volume directory"]
    default: []
    }
  }

  /// The run of a seed.
  init(seed: UInt64, weather: Weather? = nil, mutant: Mutant? = nil) {
    self.seed = seed
    let all = Weather.allCases
    self.weather = weather ?? all[Int(seed % UInt64(all.count))]
    self.mutant = mutant
    let third = seed / UInt64(all.count) % 3
    losesDatabase = third == 1 || mutant?.isOfRebuild == true
    comparesRebuild = third == 2 && !losesDatabase
  }
}
