import ChunkStore
public import ObjectEngine

/// Asks the stores every few seconds how they are, so that writes avoid those that are not well.
public final class StoreMonitor: BackgroundWorker {
  /// `store-monitor`.
  public let name = "store-monitor"
  private let stores: StoreSet
  private let interval: Duration
  private let count = ProgressCell()

  /// Watches `stores`.
  public init(stores: StoreSet, interval: Duration = .seconds(5)) {
    self.stores = stores
    self.interval = interval
  }

  /// Items are rounds; the detail says how many stores are well.
  public var progress: WorkerProgress { count.value }

  /// Asks all stores once.
  public func step() async throws -> StepOutcome {
    let answers = await stores.refresh()
    let well = answers.filter { $0.state == .active }.count
    count.add(1, detail: "\(well) of \(answers.count) stores active")
    return .idle(nextAfter: interval)
  }
}
