import Base
import Erasure

/// What an installation survives, judged by the devices that its stores really lie on.
struct FailureDomain: Hashable, Sendable {
  /// Stores, and distinct devices below them.
  var stores: Int
  var devices: Int
  /// How many of either can be lost at once, whichever they are, with everything still readable.
  var tolerableStores: Int
  var tolerableDevices: Int

  /// Judges stores on devices, given as how many stores lie on each.
  ///
  /// An extent's chunks lie on distinct stores where there are enough; with fewer stores than
  /// chunks, at most `parity` of them share one.
  init(storesPerDevice: [Int], scheme: ErasureScheme) {
    stores = storesPerDevice.reduce(0, +)
    devices = storesPerDevice.count
    let perStore =
      stores == 0 ? scheme.total : (scheme.total + stores - 1) / stores
    tolerableStores = min(scheme.parity / perStore, max(0, stores - 1))
    var lost = 0
    var count = 0
    for stores in storesPerDevice.sorted(by: >) {
      lost += stores * perStore
      if lost > scheme.parity { break }
      count += 1
    }
    tolerableDevices = min(count, max(0, devices - 1))
  }

  /// One sentence for an operator.
  var summary: String {
    let place = "\(Self.count(stores, "store")), \(Self.count(devices, "device"))"
    if devices <= 1 { return "\(place): no protection against its loss" }
    if tolerableDevices == 0 {
      return "\(place): not everything survives the loss of a device"
    }
    return "\(place): any \(Self.count(tolerableDevices, "device")) can be lost"
  }

  /// A number of things in words.
  static func count(_ number: Int, _ noun: String) -> String {
    let words = ["no", "one", "two", "three", "four", "five", "six"]
    let text = words.indices.contains(number) ? words[number] : "\(number)"
    return number == 1 ? "\(text) \(noun)" : "\(text) \(noun)s"
  }
}
