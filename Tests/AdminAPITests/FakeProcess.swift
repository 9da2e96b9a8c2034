import AdminAPI
import Base
import Runtime
import Synchronization

/// What the process gives to the Admin API, as the tests want it.
final class FakeProcess: InstallationDescribing, Scrubbing, WorkerReporting, BackupProviding,
  MasterKeyManaging
{
  struct State {
    var stores: [StoreID] = []
    var scrub = ScrubProgress()
    var key = 1
    var keyError: MasterKeyError?
    var openBackups = 0
  }

  let state = Mutex(State())
  let version = "test"
  let started = Timestamp(seconds: 5)
  static let copy = SeededRandom(seed: 3).bytes(700_000)

  var stores: [StoreID] {
    get { state.withLock { $0.stores } }
    set { state.withLock { $0.stores = newValue } }
  }

  func devices() async -> [StoreID: String] {
    Dictionary(uniqueKeysWithValues: stores.enumerated().map { ($1, "disk\($0 / 2)") })
  }

  func startScrub() async throws {
    state.withLock { state in
      state.scrub = ScrubProgress()
      state.scrub.state = .running
    }
  }

  func scrubProgress() async -> ScrubProgress { state.withLock { $0.scrub } }

  func workers() async -> [WorkerStatus] {
    [
      WorkerStatus(
        name: "repair", state: "waiting", lastRun: Timestamp(seconds: 6), runs: 3, failures: 1,
        lastError: "none", itemsDone: 5, detail: "one more")
    ]
  }

  func makeBackup() async throws -> any BackupReading {
    state.withLock { $0.openBackups += 1 }
    return Reader(self)
  }

  func exportText() async throws -> String {
    try state.withLock { state in
      if let error = state.keyError { throw error }
      return "key \(state.key)"
    }
  }

  func rotate() async throws {
    try state.withLock { state in
      if let error = state.keyError { throw error }
      state.key += 1
    }
  }

  private final class Reader: BackupReading {
    let byteCount = FakeProcess.copy.count
    private let process: FakeProcess
    private let offset = Mutex(0)

    init(_ process: FakeProcess) { self.process = process }

    deinit { process.state.withLock { $0.openBackups -= 1 } }

    func read(into buffer: AlignedBuffer) async throws -> Int {
      let range = offset.withLock { offset in
        let start = offset
        offset = min(start + buffer.count, byteCount)
        return start..<offset
      }
      buffer.copy(Array(FakeProcess.copy[range]))
      return range.count
    }

    func close() {}
  }
}
