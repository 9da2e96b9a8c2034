import Base

/// What was said at `cluster join` and holds for every start of the storage server after it.
struct JoinSettings: Hashable, Sendable {
  static let fileName = "join.json"

  /// Endpoints of gateways' Admin APIs, tried in turn.
  var gateways: [String]
  /// Where gateways reach the storage server: `host:port`.
  var advertise: String
  /// Its zone; empty where there are none.
  var zone: String
  /// The weight of its stores.
  var weight: Int

  init(gateways: [String], advertise: String, zone: String, weight: Int) {
    self.gateways = gateways
    self.advertise = advertise
    self.zone = zone
    self.weight = weight
  }

  /// Reads what `save` wrote; nil when there is none.
  init?(_ directory: ClusterDirectory) throws {
    guard let text = try directory.read(directory.path(Self.fileName)) else { return nil }
    guard let value = try? JSONValue(parsing: Array(text.utf8)),
      let gateways = value["gateways"]?.elements?.compactMap(\.text), !gateways.isEmpty,
      let advertise = value["advertise"]?.text, let zone = value["zone"]?.text,
      let weight = value["weight"]?.integer
    else { throw StartError("the file cluster/join.json of the data directory is damaged") }
    self.init(
      gateways: gateways, advertise: advertise, zone: zone, weight: Int(clamping: weight))
  }

  func save(_ directory: ClusterDirectory) throws {
    let value: JSONValue = [
      "gateways": .array(gateways.map { .string($0) }), "advertise": .string(advertise),
      "zone": .string(zone), "weight": .integer(Int64(weight)),
    ]
    try directory.write(value.encoded + "\n", to: directory.path(Self.fileName))
  }
}
