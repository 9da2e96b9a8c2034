extension SQLMetadataStore: SettingStore {
  private static let insertSetting = SQLStatement(
    "INSERT INTO settings(name, value) VALUES($1, $2) ON CONFLICT(name) DO NOTHING")
  private static let replaceSetting = SQLStatement(
    "UPDATE settings SET value = $1 WHERE name = $2 AND value = $3")

  /// Sets a value provided that it is still `expected`, where nil means that it was never set.
  public func replaceSetting(
    _ name: String, expected: [UInt8]?, with value: [UInt8]
  ) async throws -> Bool {
    try await write(cost: 256 + value.count) { session in
      let count =
        if let expected {
          try await session.run(
            Self.replaceSetting, [.bytes(value), .text(name), .bytes(expected)])
        } else {
          try await session.run(Self.insertSetting, [.text(name), .bytes(value)])
        }
      return count == 1
    }
  }
}
