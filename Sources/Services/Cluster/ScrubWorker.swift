import Base
import Metadata
import ObjectEngine
import Runtime
import Synchronization
public import Telemetry

/// Verifies every chunk of every extent, and every object kept in the metadata.
///
/// Of its own accord it does so once in a period, throttled, and queues what is bad for repair;
/// where it is survives a restart. On request it does so at once, at full speed, and repairs what
/// is bad before it goes on.
public final class ScrubWorker: BackgroundWorker {
  /// Settings of the metadata that carry the periodic pass over a restart.
  static let cursorSetting = "scrub_cursor"
  static let finishedSetting = "scrub_finished"
  /// Extents read from the metadata at once.
  static let pageSize = 64
  /// Errors in a row after which a requested scrub fails.
  static let maximumErrors = 5

  struct Pass: Sendable {
    var isRequested: Bool
    var cursor: ExtentID?
    var page: [Extent] = []
    var isInExtents = true
    var inline = InlineWalk.Position()
    var report = ScrubReport()
  }

  private struct State {
    var report = ScrubReport()
    var isRequested = false
    var requested: Pass?
    var periodic: Pass?
    /// When the last whole pass ended; nil before the metadata was asked.
    var lastFinished: Timestamp?
    var errors = 0
  }

  /// `scrub`.
  public let name = "scrub"
  /// The part of the time that a periodic pass works; one on request works all of it.
  public let dutyCycle: Double
  let engine: ObjectEngine
  let repairer: ExtentRepairer
  let log: Log
  private let inspector: ChunkInspector
  private let inlineWalk: InlineWalk
  private let periodMilliseconds: Int64?
  private let interval: Duration
  private let state = Mutex(State())
  private let count = ProgressCell()

  /// Scrubs once in `period`, never by itself when that is nil; looks every `interval` whether
  /// there is something to do. `repairer` is the one of the repair worker.
  public init(
    repairer: ExtentRepairer, period: Duration? = .seconds(30 * 86_400),
    dutyCycle: Double = 0.1, interval: Duration = .seconds(1), tenants: [Int64] = [1], log: Log
  ) {
    self.repairer = repairer
    engine = repairer.engine
    self.log = log.named("scrub")
    self.dutyCycle = dutyCycle
    self.interval = interval
    periodMilliseconds = period.map { max(1000, $0.wholeMilliseconds) }
    inspector = ChunkInspector(engine: repairer.engine)
    inlineWalk = InlineWalk(engine: repairer.engine, tenants: tenants, log: log.named("scrub"))
  }

  /// Items are extents verified; the detail tells of the periodic pass.
  public var progress: WorkerProgress { count.value }

  /// The running scrub that was asked for, or the last one.
  public var report: ScrubReport { state.withLock { $0.report } }

  /// Asks for a scrub of everything, which the next steps do; false when one runs already.
  @discardableResult
  public func request() -> Bool {
    let now = engine.clock.now
    return state.withLock { state in
      guard !state.isRequested else { return false }
      state.isRequested = true
      state.report = ScrubReport()
      state.report.state = .running
      state.report.started = now
      return true
    }
  }

  /// Does a whole scrub in the calling task; for where nothing else calls `step`.
  public func runRequested() async throws -> ScrubReport {
    request()
    while report.state == .running { _ = try await step() }
    return report
  }

  /// Verifies one extent, or a page of objects kept in the metadata.
  public func step() async throws -> StepOutcome {
    if state.withLock({ $0.isRequested }) {
      try await requestedStep()
      return .busy
    }
    return try await periodicStep()
  }

  /// Where the periodic pass is and when the last one ended is read again from the metadata.
  public func beginTerm() {
    state.withLock { state in
      state.periodic = nil
      state.lastFinished = nil
    }
  }

  /// A scrub that was asked for here goes on; what it finds is left to the leader's repair.
  public func stepWithoutLead() async throws -> StepOutcome? {
    guard state.withLock({ $0.isRequested }) else { return nil }
    try await requestedStep()
    return .busy
  }

  // MARK: On request

  private func requestedStep() async throws {
    var pass: Pass
    do {
      if let running = state.withLock({ $0.requested }) {
        pass = running
      } else {
        pass = Pass(isRequested: true, report: report)
        pass.report.totalExtents = Int(clamping: try await engine.metadata.counts().extents)
      }
      let isDone = try await advance(&pass)
      if isDone { try await noteFinished() }
      let now = engine.clock.now
      state.withLock { state in
        state.errors = 0
        state.requested = isDone ? nil : pass
        state.isRequested = !isDone
        if isDone {
          pass.report.state = .finished
          pass.report.finished = now
        }
        state.report = pass.report
      }
    } catch {
      let isGivenUp = state.withLock { state in
        state.errors += 1
        guard state.errors >= Self.maximumErrors else { return false }
        state.errors = 0
        state.requested = nil
        state.isRequested = false
        state.report.state = .failed("\(error)")
        return true
      }
      if isGivenUp { log.error("a scrub failed", [("error", "\(error)")]) }
      throw error
    }
  }

  // MARK: Once in a period

  private func periodicStep() async throws -> StepOutcome {
    guard let periodMilliseconds else { return .idle(nextAfter: interval) }
    if var pass = state.withLock({ $0.periodic }) {
      let page = pass.page.count
      let isDone = try await advance(&pass)
      if isDone {
        try await noteFinished()
        log.info("a periodic scrub has ended", Self.fields(pass.report))
      } else if page == 0, let cursor = pass.cursor {
        try await engine.metadata.setSetting(Self.cursorSetting, cursor.bytes)
      }
      count.add(0, detail: isDone ? "" : "\(pass.report.extents) extents since the start")
      state.withLock { $0.periodic = isDone ? nil : pass }
      return .throttled
    }
    let last = try await lastFinished()
    let now = try await engine.metadata.now()
    guard now >= last.advanced(byMilliseconds: periodMilliseconds) else {
      return .idle(nextAfter: interval)
    }
    let cursor = try await engine.metadata.setting(Self.cursorSetting) ?? []
    state.withLock { $0.periodic = Pass(isRequested: false, cursor: ExtentID(bytes: cursor)) }
    return .throttled
  }

  /// When the last whole pass ended; a new installation counts as scrubbed.
  private func lastFinished() async throws -> Timestamp {
    if let known = state.withLock({ $0.lastFinished }) { return known }
    if let bytes = try await engine.metadata.setting(Self.finishedSetting), bytes.count == 8 {
      let number = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let time = Timestamp(milliseconds: Int64(bitPattern: number))
      state.withLock { $0.lastFinished = time }
      return time
    }
    return try await noteFinished()
  }

  @discardableResult
  private func noteFinished() async throws -> Timestamp {
    let now = try await engine.metadata.now()
    let number = UInt64(bitPattern: now.milliseconds)
    let bytes = stride(from: 56, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: number >> UInt64($0))
    }
    try await engine.metadata.setSetting(Self.cursorSetting, [])
    try await engine.metadata.setSetting(Self.finishedSetting, bytes)
    state.withLock { state in
      state.lastFinished = now
      state.periodic = nil
    }
    return now
  }

  private static func fields(_ report: ScrubReport) -> [(name: String, value: String)] {
    [
      ("extents", "\(report.extents)"), ("good", "\(report.goodChunks)"),
      ("missing", "\(report.missing)"), ("corrupt", "\(report.corrupt)"),
      ("unreachable", "\(report.unreachable)"),
    ]
  }

  // MARK: Both

  /// Goes one step on; true at the end.
  private func advance(_ pass: inout Pass) async throws -> Bool {
    guard pass.isInExtents else {
      return try await inlineWalk.advance(&pass.inline, &pass.report)
    }
    if pass.page.isEmpty {
      pass.page = try await engine.metadata.extents(after: pass.cursor, limit: Self.pageSize)
      pass.page.reverse()
    }
    guard let extent = pass.page.last else {
      pass.isInExtents = false
      return false
    }
    try await verify(extent, &pass)
    count.add(1)
    pass.page.removeLast()
    pass.cursor = extent.id
    return false
  }

  func inspect(_ extent: Extent, atOnce: Bool) async -> [ChunkVerdict] {
    guard atOnce else {
      var verdicts: [ChunkVerdict] = []
      for index in extent.stores.indices {
        verdicts.append(await inspector.inspect(extent, chunk: index))
      }
      return verdicts
    }
    let inspector = inspector
    return await withTaskGroup(of: (Int, ChunkVerdict).self) { group in
      for index in extent.stores.indices {
        group.addTask(executorPreference: engine.pool) {
          (index, await inspector.inspect(extent, chunk: index))
        }
      }
      var verdicts = [ChunkVerdict](repeating: .missing, count: extent.stores.count)
      for await (index, verdict) in group { verdicts[index] = verdict }
      return verdicts
    }
  }
}
