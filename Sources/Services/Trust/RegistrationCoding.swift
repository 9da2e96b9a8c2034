public import Base
public import Metadata

extension StorageServerRegistration {
  static let maximumStoreCount = 256

  /// As a storage server sends it.
  public var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("server_id", .string(id.description)), .init("address", .string(address)),
      .init("zone", .string(zone)), .init("version", .string(version)),
      .init(
        "stores",
        .array(
          stores.map {
            ["id": .string($0.id.description), "weight": .integer(Int64($0.weight))]
          })),
    ]
    // A gateway of the release before does not know these.
    if !replacedStores.isEmpty {
      let replaced = replacedStores.map { pair -> JSONValue in
        ["old": .string(pair.old.description), "new": .string(pair.new.description)]
      }
      members.append(.init("replaced_stores", .array(replaced)))
    }
    if let replacing { members.append(.init("replacing", .string(replacing.description))) }
    return .object(members)
  }

  /// Reads what came over the wire; throws `malformed` for anything out of bounds.
  public init(json: JSONValue?) throws(TrustError) {
    let object = try StrictObject(
      json,
      members: [
        "server_id", "address", "zone", "version", "stores", "replaced_stores", "replacing",
      ])
    guard let id = ServerID(hex: try object.text("server_id", limit: 32)) else {
      throw .malformed("server_id is 32 hexadecimal digits")
    }
    let address = try object.text("address", limit: 262)
    guard Self.isAddress(address) else { throw .malformed("address is host:port") }
    let zone = try object.text("zone", limit: 64)
    let version = try object.text("version", limit: 64)
    guard Self.isZone(zone), Self.isZone(version) else {
      throw .malformed("zone and version are of printable ASCII without blanks")
    }
    var stores: [(id: StoreID, weight: Int)] = []
    var known: Set<StoreID> = []
    for element in try object.elements("stores", limit: Self.maximumStoreCount) {
      let store = try StrictObject(element, members: ["id", "weight"])
      guard let id = StoreID(hex: try store.text("id", limit: 32)), known.insert(id).inserted
      else { throw .malformed("the id of a store is 32 hexadecimal digits, each there once") }
      stores.append((id, try store.integer("weight", in: 1...10_000)))
    }
    self.init(id: id, address: address, zone: zone, version: version, stores: stores)
    if object.has("replaced_stores") {
      let limit = Self.maximumStoreCount
      for element in try object.elements("replaced_stores", limit: limit) {
        let pair = try StrictObject(element, members: ["old", "new"])
        guard let old = StoreID(hex: try pair.text("old", limit: 32)),
          let new = StoreID(hex: try pair.text("new", limit: 32)), known.contains(new),
          !known.contains(old)
        else { throw .malformed("a replaced store is one that is gone, and one that is there") }
        replacedStores.append(StoreReplacement(old: old, new: new))
      }
    }
    if object.has("replacing") {
      guard let old = ServerID(hex: try object.text("replacing", limit: 32)) else {
        throw .malformed("replacing is 32 hexadecimal digits")
      }
      replacing = old
    }
  }

  /// Whether a text can be a zone: at most 64 characters of printable ASCII without blanks.
  public static func isZone(_ text: String) -> Bool {
    text.utf8.count <= 64 && text.utf8.allSatisfy { (0x21..<0x7f).contains($0) }
  }

  /// Whether a text is `host:port`, with a name, an IPv4 address or an IPv6 one in brackets.
  public static func isAddress(_ text: String) -> Bool {
    guard let (host, _) = split(text) else { return false }
    return !host.isEmpty
  }

  /// Whether the address is one of this machine only.
  var isLoopback: Bool {
    guard let (host, _) = Self.split(address) else { return false }
    return host == "localhost" || host == "::1" || Self.isLoopbackIPv4(host)
  }

  private static func isLoopbackIPv4(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil } && parts[0] == "127"
  }

  private static func split(_ text: String) -> (host: String, port: UInt16)? {
    guard text.utf8.count <= 262, let colon = text.lastIndex(of: ":") else { return nil }
    var host = text[..<colon]
    let digits = text[text.index(after: colon)...]
    guard (1...5).contains(digits.utf8.count),
      digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0
    else { return nil }
    let isBracketed = host.first == "[" && host.last == "]"
    if isBracketed { host = host.dropFirst().dropLast() }
    let isPlain = host.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
      case 0x3a: isBracketed
      default: false
      }
    }
    return isPlain ? (String(host), port) : nil
  }
}
