/// What clients asked for and were told, by key.
///
/// A value is a number that stands for an ETag; 0 stands for no object.
final class SimulationHistory {
  /// What must hold for a write.
  enum Condition: Equatable {
    case none, absent, exists
    case matches(Int)

    func holds(_ state: Int) -> Bool {
      switch self {
      case .none: true
      case .absent: state == 0
      case .exists: state != 0
      case .matches(let value): state == value
      }
    }
  }

  /// What an operation does to a key that has a value, if it may come then at all.
  enum Effect {
    case read(Int)
    case write(Int, Condition)
    case refused(Condition)
    case remove(existed: Bool)

    /// Whether it leaves every value as it is.
    var onlyLooks: Bool {
      switch self {
      case .read, .refused, .remove(existed: false): true
      case .write, .remove(existed: true): false
      }
    }

    func after(_ state: Int) -> Int? {
      switch self {
      case .read(let value): state == value ? state : nil
      case .write(let value, let condition): condition.holds(state) ? value : nil
      case .refused(let condition): condition.holds(state) ? nil : state
      case .remove(let existed): existed == (state != 0) ? 0 : nil
      }
    }
  }

  struct Operation {
    var effect: Effect
    var invoked: UInt64
    /// `.max` for one that may take effect at any later time, or never.
    var returned: UInt64
    /// Whether it may never take effect.
    var isOptional: Bool

    init(effect: Effect, invoked: UInt64, returned: UInt64) {
      self.effect = effect
      self.invoked = invoked
      self.returned = returned
      isOptional = returned == .max
    }

    /// The same where nothing that has not taken effect by `stamp` does so any more.
    func ended(by stamp: UInt64) -> Operation {
      var result = self
      result.returned = min(returned, stamp)
      return result
    }
  }

  private(set) var operations: [Int: [Operation]] = [:]

  func add(_ key: Int, _ effect: Effect, from invoked: UInt64, to returned: UInt64) {
    operations[key, default: []].append(
      Operation(effect: effect, invoked: invoked, returned: returned))
  }

  /// The keys whose history no single register could have had.
  ///
  /// With a `loss` of the database at that moment, what was acknowledged before has taken effect,
  /// and what was not may have or not, even if somebody has read it meanwhile.
  func impossible(loss: UInt64? = nil) -> [Int] {
    operations.keys.sorted().filter { key in
      let all = operations[key] ?? []
      guard let loss else { return !Self.isPossible(all) }
      let before = all.filter { $0.invoked < loss }.map { $0.ended(by: loss) }
      let lasting = before.filter { !$0.effect.onlyLooks }
      return !Self.isPossible(before)
        || !Self.isPossible(lasting + all.filter { $0.invoked >= loss })
    }
  }

  private static func isPossible(_ operations: [Operation]) -> Bool {
    var search = RegisterSearch(operations)
    return search.isPossible()
  }
}

/// Looks for an order of operations, each at a moment between its call and its answer, in which
/// every answer is right.
struct RegisterSearch {
  private struct Place: Hashable {
    var done: UInt128
    var state: Int
  }

  private let operations: [SimulationHistory.Operation]
  private var seen: Set<Place> = []

  init(_ operations: [SimulationHistory.Operation]) {
    precondition(operations.count <= 128, "a history too long to check")
    self.operations = operations.sorted { $0.invoked < $1.invoked }
  }

  mutating func isPossible() -> Bool { search(Place(done: 0, state: 0)) }

  private mutating func search(_ start: Place) -> Bool {
    var place = start
    var isAhead = true
    while isAhead {
      isAhead = false
      // What only looks may come as soon as it can.
      for index in candidates(place.done)
      where operations[index].effect.onlyLooks
        && operations[index].effect.after(place.state) != nil
      {
        place.done |= 1 << UInt128(index)
        isAhead = true
      }
    }
    guard seen.insert(place).inserted else { return false }
    let open = candidates(place.done)
    if !operations.indices.contains(where: {
      place.done & 1 << UInt128($0) == 0 && !operations[$0].isOptional
    }) {
      return true
    }
    for index in open {
      guard let state = operations[index].effect.after(place.state) else { continue }
      if search(Place(done: place.done | 1 << UInt128(index), state: state)) { return true }
    }
    return false
  }

  /// The operations that may come next: none that is not done has ended before they began.
  private func candidates(_ done: UInt128) -> [Int] {
    var result: [Int] = []
    var end = UInt64.max
    for index in operations.indices where done & 1 << UInt128(index) == 0 {
      // They are in the order of their calls: whatever follows begins later still.
      if operations[index].invoked > end { break }
      result.append(index)
      if !operations[index].isOptional { end = min(end, operations[index].returned) }
    }
    let latest = operations.indices.last { done & 1 << UInt128($0) != 0 }
    let begun = latest.map { operations[$0].invoked } ?? 0
    return result.filter { operations[$0].invoked <= end && begun <= operations[$0].returned }
  }
}
