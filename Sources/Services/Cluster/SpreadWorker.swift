import Base
import Metadata
import ObjectEngine
import Synchronization
import Telemetry

/// Spreads extents that were written while too few stores took writes, so that a store holds more
/// than one of their chunks, or a server or a zone more than it should, over more stores once there
/// are more; one extent at a time.
///
/// A former copy is deleted only when the row names another store and every read that may hold the
/// row as it was has ended.
public final class SpreadWorker: BackgroundWorker {
  /// Extents read from the metadata at once.
  static let pageSize = 64
  /// Former copies that wait for reads to end; beyond it no more chunks are moved.
  static let maximumWaiting = 4096
  /// How soon it is worth trying again what other tasks or running reads are in the way of.
  static let shortRest = Duration.seconds(1)

  private struct State {
    var cursor: ExtentID?
    /// The rest of a page, the next extent last.
    var page: [Extent] = []
  }

  /// `spread`.
  public let name = "spread"
  /// The part of the time that it works.
  public let dutyCycle: Double
  private let engine: ObjectEngine
  private let repairer: ExtentRepairer
  private let copies: FormerCopies
  private let interval: Duration
  private let state = Mutex(State())
  private let count = ProgressCell()

  /// Looks every `interval` for extents to spread. `repairer` is the one of the repair worker.
  public convenience init(
    repairer: ExtentRepairer, interval: Duration = .seconds(60), dutyCycle: Double = 0.5
  ) {
    let horizon = ReadHorizon(engine: repairer.engine, others: nil, lease: .zero)
    self.init(
      repairer: repairer, copies: FormerCopies(repairer: repairer, horizon: horizon),
      interval: interval, dutyCycle: dutyCycle)
  }

  /// The same with `copies` that others share.
  init(
    repairer: ExtentRepairer, copies: FormerCopies, interval: Duration = .seconds(60),
    dutyCycle: Double
  ) {
    self.repairer = repairer
    self.copies = copies
    engine = repairer.engine
    self.interval = interval
    self.dutyCycle = dutyCycle
  }

  /// Items are chunks moved.
  public var progress: WorkerProgress { count.value }

  /// Spreads one extent, or looks at a page of them.
  public func step() async throws -> StepOutcome {
    try await copies.removeDue()
    let waiting = copies.count
    guard waiting < Self.maximumWaiting else {
      count.add(0, detail: "\(waiting) former copies wait for reads to end")
      return .idle(nextAfter: min(interval, Self.shortRest))
    }
    guard let extent = try await next() else {
      // A whole page may have been passed by.
      if state.withLock({ $0.cursor }) != nil { return .throttled }
      return .idle(nextAfter: waiting == 0 ? interval : min(interval, Self.shortRest))
    }
    let (outcome, moved) = try await repairer.spread(extent)
    if case .busy = outcome { return .idle(nextAfter: min(interval, Self.shortRest)) }
    state.withLock { state in
      if state.page.last?.id == extent { state.page.removeLast() }
    }
    note(outcome, moved: moved.count, extent)
    try await copies.add(moved)
    try await copies.removeDue()
    return .throttled
  }

  /// The next extent for which there is a better place; nil at the end of a page.
  private func next() async throws -> ExtentID? {
    var (page, cursor) = state.withLock { ($0.page, $0.cursor) }
    if page.isEmpty {
      page = try await engine.metadata.underSpread(after: cursor, limit: Self.pageSize)
      cursor = page.last?.id
      page.reverse()
    }
    while let extent = page.last, repairer.spreadTargets(extent).isEmpty {
      try await repairer.noteSpread(extent)
      page.removeLast()
    }
    state.withLock { ($0.page, $0.cursor) = (page, cursor) }
    return page.last?.id
  }

  /// Where the walk is means nothing any more.
  public func beginTerm() { state.withLock { $0 = State() } }

  private func note(_ outcome: RepairOutcome, moved: Int, _ extent: ExtentID) {
    switch outcome {
    case .repaired: count.add(moved, detail: "")
    case .incomplete(_, let reason), .refused(let reason): count.add(moved, detail: reason)
    case .unreadable(let available, let needed):
      count.add(0, detail: "\(available) of \(needed) chunks can be read")
      repairer.log.error(
        "an extent that is to be spread has too few chunks; nothing is deleted",
        [("extent", "\(extent)"), ("available", "\(available)"), ("needed", "\(needed)")])
    case .gone, .superseded, .busy: break
    }
  }
}
