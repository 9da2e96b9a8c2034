/// Values of the installation that several processes change.
public protocol SettingStore: Sendable {
  /// A value by its name; nil when it was never set.
  func setting(_ name: String) async throws -> [UInt8]?

  /// Sets a value provided that it is still `expected`, where nil means that it was never set.
  /// Returns false, and changes nothing, when it is not. One atomic step across all processes.
  func replaceSetting(
    _ name: String, expected: [UInt8]?, with value: [UInt8]
  ) async throws -> Bool
}
