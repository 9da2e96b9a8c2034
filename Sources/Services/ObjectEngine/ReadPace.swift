import Base
import ChunkStore
import Synchronization

/// Knows how long reads take, which stores were given up lately, and how many reads may be made in
/// addition for slowness.
public final class ReadPace: Sendable {
  /// Reads that take alike.
  enum Kind: Int, CaseIterable {
    /// At most 64 KiB of a chunk that is open.
    case piece
    /// More of it.
    case block
    /// With opening the chunk.
    case opening
  }

  /// Counts since the start, for metrics.
  public struct Counts: Hashable, Sendable {
    /// Reads of blocks.
    public var reads = 0
    /// Of these, reads that were made because others were slow.
    public var hedges = 0
  }

  /// The last so many durations of a kind.
  private struct Sample {
    private static let capacity = 128
    private var durations: [Duration] = []
    private var next = 0
    /// What all but a twentieth took.
    private(set) var high = Duration.zero

    mutating func add(_ duration: Duration) {
      if durations.count < Self.capacity {
        durations.append(duration)
      } else {
        durations[next] = duration
      }
      next = (next + 1) % Self.capacity
      // Sorting at each read would cost more than it tells.
      guard durations.count < 16 || next.isMultiple(of: 16) else { return }
      let sorted = durations.sorted()
      high = sorted[(sorted.count - 1) * 95 / 100]
    }
  }

  private struct State {
    var samples = [Sample](repeating: Sample(), count: Kind.allCases.count)
    var tokens: Double
    var counts = Counts()
    var suspects: [StoreID: Duration] = [:]
  }

  private let options: FaultTolerance
  private let state: Mutex<State>

  init(_ options: FaultTolerance) {
    self.options = options
    state = Mutex(State(tokens: Double(options.hedgeBurst)))
  }

  /// What has been read so far.
  public var counts: Counts { state.withLock { $0.counts } }

  /// From when on a read is slow.
  func threshold(_ kind: Kind) -> Duration {
    let high = state.withLock { $0.samples[kind.rawValue].high }
    return min(max(options.hedgeFloor, high * options.hedgeFactor), options.readStall)
  }

  /// Counts reads that are made in any case.
  func begin(reads: Int) {
    state.withLock { state in
      state.counts.reads += reads
      state.tokens = min(
        Double(options.hedgeBurst), state.tokens + Double(reads) * options.hedgeShare)
    }
  }

  /// Asks for so many reads in addition; false when the budget does not allow them.
  func takeHedges(_ count: Int) -> Bool {
    state.withLock { state in
      guard state.tokens >= Double(count) else { return false }
      state.tokens -= Double(count)
      state.counts.reads += count
      state.counts.hedges += count
      return true
    }
  }

  /// Takes note of a read that succeeded.
  func note(_ duration: Duration, _ kind: Kind, of store: StoreID) {
    state.withLock { state in
      state.samples[kind.rawValue].add(duration)
      if !state.suspects.isEmpty { state.suspects[store] = nil }
    }
  }

  /// Takes note that a store was given up.
  func suspect(_ store: StoreID) {
    let end = options.clock.now + options.suspicion
    state.withLock { $0.suspects[store] = end }
  }

  /// Whether a store is read last.
  func isSuspect(_ store: StoreID) -> Bool {
    state.withLock { state in
      guard let end = state.suspects[store] else { return false }
      guard options.clock.now >= end else { return true }
      state.suspects[store] = nil
      return false
    }
  }
}
