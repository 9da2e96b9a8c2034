import Base
import Metadata
import ObjectEngine
import Synchronization

/// A walk along all extents, made once for each ring; where it is survives the process.
///
/// Used by one task at a time.
final class RingWalk: Sendable {
  /// What there is to do.
  enum Page: Sendable {
    /// The walk for the present ring is over, or is made again only when all writers go by that ring.
    case none
    /// This process does not go by the newest ring yet.
    case notReady
    /// Extents to look at; `advance` goes on behind them.
    case extents([Extent])
    /// The walk has come to its end; `finish` ends it.
    case end
  }

  private struct State {
    var isLoaded = false
    /// The ring whose walk is over.
    var finished: Int64 = 0
    /// The ring whose walk is on its way.
    var ring: Int64 = 0
    var cursor: ExtentID?
    /// Whether all writers went by that ring before the walk began.
    var isAcknowledged = false
    /// Whether the walk came to its end before all writers went by the ring: once they do, it is made
    /// again for what they placed meanwhile.
    var awaitsWriters = false
  }

  private let name: String
  private let metadata: any ClusterMetadata
  private let stores: StoreSet
  private let state = Mutex(State())

  /// The walk of that name, kept in settings that begin with it.
  init(name: String, metadata: any ClusterMetadata, stores: StoreSet) {
    self.name = name
    self.metadata = metadata
    self.stores = stores
  }

  /// The setting that says which ring's walk is over, as a number of 8 bytes.
  static func finishedSetting(_ name: String) -> String { name + "_ring" }

  /// Whether it is over but for what writers may place that do not go by the ring yet.
  var awaitsWriters: Bool { state.withLock { $0.awaitsWriters } }

  /// What is remembered counts no more.
  func reset() { state.withLock { $0 = State() } }

  /// The ring whose walk is over.
  static func finishedRing(_ name: String, _ metadata: any MetadataStore) async throws -> Int64 {
    number(try await metadata.setting(finishedSetting(name)) ?? []) ?? 0
  }

  /// The next page of at most `limit` extents.
  func next(limit: Int) async throws -> Page {
    try await load()
    let ring = stores.ringVersion
    guard try await metadata.ringVersion() == ring else { return .notReady }
    let before = state.withLock { $0 }
    if before.finished >= ring { return .none }
    if before.ring != ring || before.awaitsWriters {
      let isAcknowledged = try await metadata.liveWriters().allSatisfy {
        $0.ringVersion >= ring
      }
      if before.ring == ring, !isAcknowledged { return .none }
      state.withLock { state in
        state.ring = ring
        state.cursor = nil
        state.isAcknowledged = isAcknowledged
        state.awaitsWriters = false
      }
    }
    let extents = try await metadata.extents(
      after: state.withLock { $0.cursor }, limit: limit)
    return extents.isEmpty ? .end : .extents(extents)
  }

  /// Goes on behind `extent`.
  func advance(past extent: ExtentID) async throws {
    let (ring, isAcknowledged) = state.withLock { state in
      state.cursor = extent
      return (state.ring, state.isAcknowledged)
    }
    try await metadata.setSetting(
      name + "_at", Self.bytes(ring) + [isAcknowledged ? 1 : 0] + extent.bytes)
  }

  /// Ends the walk; true when it need not be made again for this ring.
  func finish(isComplete: Bool) async throws -> Bool {
    let (ring, isAcknowledged) = state.withLock { ($0.ring, $0.isAcknowledged) }
    guard isComplete, isAcknowledged, ring == stores.ringVersion else {
      state.withLock { state in
        if isComplete, ring == stores.ringVersion {
          state.awaitsWriters = true
        } else {
          state.ring = 0
        }
      }
      return false
    }
    try await metadata.setSetting(Self.finishedSetting(name), Self.bytes(ring))
    state.withLock { $0.finished = ring }
    return true
  }

  private func load() async throws {
    guard !state.withLock({ $0.isLoaded }) else { return }
    var loaded = State(isLoaded: true)
    loaded.finished = try await Self.finishedRing(name, metadata)
    let place = try await metadata.setting(name + "_at") ?? []
    if place.count == 25, let ring = Self.number(Array(place[..<8])) {
      loaded.ring = ring
      loaded.isAcknowledged = place[8] == 1
      loaded.cursor = ExtentID(bytes: place[9...])
    }
    state.withLock { [loaded] in $0 = loaded }
  }

  static func number(_ bytes: [UInt8]) -> Int64? {
    guard bytes.count == 8 else { return nil }
    return Int64(bitPattern: bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }

  static func bytes(_ number: Int64) -> [UInt8] {
    stride(from: 56, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: number >> Int64($0))
    }
  }
}
