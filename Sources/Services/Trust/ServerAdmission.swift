import Base
import Metadata

/// What trust remembers of a storage server, besides what membership knows.
struct ServerAdmission {
  /// The time of the newest proven request: older ones are replayed or late.
  var time: Timestamp
  /// The fingerprint of the key that a token admitted and that has not registered since; empty
  /// when there is none. Who has left comes back with such a key only.
  var pendingKey: [UInt8]

  static func settingName(_ server: ServerID) -> String { "cluster_server_\(server)" }

  init(parsing bytes: [UInt8]?) throws(TrustError) {
    time = Timestamp(milliseconds: 0)
    pendingKey = []
    guard let bytes else { return }
    var reader = ByteReader(bytes)
    do throws(FormatError) {
      time = Timestamp(milliseconds: try reader.readInteger(Int64.self))
      pendingKey = try reader.readSized(limit: 64)
      try reader.expectEnd()
    } catch {
      throw .damaged("what is known of a storage server: \(error)")
    }
  }

  var encoded: [UInt8] {
    var writer = ByteWriter(capacity: 64)
    writer.write(time.milliseconds)
    writer.writeSized(pendingKey)
    return writer.bytes
  }
}

extension ClusterAuthority {
  func admission(_ server: ServerID) async throws -> ServerAdmission {
    try ServerAdmission(
      parsing: try await settings.setting(ServerAdmission.settingName(server)))
  }

  /// Changes what is remembered of a storage server in one atomic step.
  func updateAdmission(
    _ server: ServerID, _ change: (inout ServerAdmission) throws(TrustError) -> Void
  ) async throws {
    let name = ServerAdmission.settingName(server)
    for _ in 0..<16 {
      let stored = try await settings.setting(name)
      var admission = try ServerAdmission(parsing: stored)
      try change(&admission)
      if try await settings.replaceSetting(name, expected: stored, with: admission.encoded) {
        return
      }
    }
    throw TrustError.conflict("another request of the same storage server runs")
  }

  /// Takes the time of a proven request, which must be later than all before it.
  func claim(_ time: Timestamp, of server: ServerID) async throws {
    try await updateAdmission(server) { admission throws(TrustError) in
      guard time > admission.time else { throw .replayed }
      admission.time = time
    }
  }
}
