public import Base
public import Erasure
public import Metadata
public import Placement

extension StoreSet {
  /// Which store takes which chunk of a new extent, by chunk index: distinct stores as far as
  /// enough of them take writes, else doubled up; never more than `parity` chunks on one server, as
  /// far as the installation has enough servers for that.
  ///
  /// Throws `storesFull` or `tooFewStores` when even that is impossible.
  public func place(
    _ extent: ExtentID, scheme: ErasureScheme
  ) throws(EngineError) -> [StoreID] {
    let view = view
    if let places = Self.layOut(extent, scheme: scheme, ring: view.ring, avoiding: view.unwell) {
      return places
    }
    let usable = view.ring.place(
      extent, count: view.ring.nodes.count, beside: [], avoiding: view.unwell)
    if usable.isEmpty, view.isAnyFull { throw .storesFull }
    let perServer = Self.serverLimit(scheme, view.ring)
    throw .tooFewStores(
      available: Set(usable.compactMap { view.ring.node($0)?.server }).count,
      needed: (scheme.total + perServer - 1) / perServer)
  }

  /// Where the chunks of an extent belong by the ring alone, whether its stores are well or not;
  /// nil when there are too few.
  public static func ideal(
    _ extent: ExtentID, scheme: ErasureScheme, ring: PlacementRing
  ) -> [StoreID]? {
    layOut(extent, scheme: scheme, ring: ring, avoiding: [])
  }

  /// Whether chunks of `extent` at `stores` share servers or zones more than they would where the
  /// ring wants them: since other stores were away.
  public func awaitsSpread(_ extent: Extent, at stores: [StoreID]) -> Bool {
    let ring = ring
    guard let scheme = ErasureScheme(data: extent.dataCount, parity: extent.parityCount),
      let ideal = Self.ideal(extent.id, scheme: scheme, ring: ring), ideal != stores
    else { return false }
    let (present, best) = (ring.spread(of: stores), ring.spread(of: ideal))
    return present.largestOnOneServer > best.largestOnOneServer
      || present.largestInOneZone > best.largestInOneZone
  }

  /// Chunks of an extent that a server may hold: as many as may be lost, more only where the
  /// installation has too few servers, whether they are well or not.
  private static func serverLimit(_ scheme: ErasureScheme, _ ring: PlacementRing) -> Int {
    let servers = Set(ring.nodes.filter { $0.state == .active }.map(\.server)).count
    let fewest = servers == 0 ? scheme.total : (scheme.total + servers - 1) / servers
    return max(1, scheme.parity, fewest)
  }

  private static func layOut(
    _ extent: ExtentID, scheme: ErasureScheme, ring: PlacementRing, avoiding: Set<StoreID>
  ) -> [StoreID]? {
    let ranked = ring.place(extent, count: scheme.total, beside: [], avoiding: avoiding)
    guard !ranked.isEmpty else { return nil }
    let usual = max(1, scheme.parity)
    if ranked.count == scheme.total, ring.spread(of: ranked).largestOnOneServer <= usual {
      return ranked
    }
    let limit = serverLimit(scheme, ring)
    // Too few servers: from the first store on, one after the other, as far as its server may.
    let all = ring.place(extent, count: ring.nodes.count, beside: [], avoiding: avoiding)
    var onServer: [String: Int] = [:]
    var places: [StoreID] = []
    while places.count < scheme.total {
      let before = places.count
      for store in all where places.count < scheme.total {
        guard let server = ring.node(store)?.server, onServer[server, default: 0] < limit else {
          continue
        }
        onServer[server, default: 0] += 1
        places.append(store)
      }
      guard places.count > before else { return nil }
    }
    return places
  }

  /// A store that takes writes for one more chunk of an extent, other than those of `kept`; nil
  /// when there is none.
  public func placeOne(_ extent: ExtentID, beside kept: [StoreID]) -> StoreID? {
    let view = view
    return view.ring.place(extent, count: 1, beside: kept, avoiding: view.unwell).first
  }

  /// The same where a store may hold several chunks of the extent: the one whose server has the
  /// fewest of them, fewer than `limit`; nil when there is none.
  public func placeDoubled(
    _ extent: ExtentID, beside kept: [StoreID], limit: Int
  ) -> StoreID? {
    let view = view
    var onServer: [String: Int] = [:]
    var onStore: [StoreID: Int] = [:]
    for store in kept {
      onStore[store, default: 0] += 1
      if let server = view.ring.node(store)?.server { onServer[server, default: 0] += 1 }
    }
    let all = view.ring.place(
      extent, count: view.ring.nodes.count, beside: [], avoiding: view.unwell)
    var best: (store: StoreID, load: (Int, Int))?
    for store in all {
      guard let server = view.ring.node(store)?.server else { continue }
      let load = (onServer[server, default: 0], onStore[store, default: 0])
      guard load.0 < limit else { continue }
      if let best, best.load <= load { continue }
      best = (store, load)
    }
    return best?.store
  }
}
