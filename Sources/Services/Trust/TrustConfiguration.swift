/// Durations of trust, in milliseconds.
public struct TrustConfiguration: Sendable {
  /// How long an authority is good: ten years.
  public var authorityLifetime: Int64 = 3650 * Self.day
  /// How long the certificate of a storage server is good: 90 days.
  public var serverLifetime: Int64 = 90 * Self.day
  /// How long the certificate of a gateway is good: 30 days.
  public var gatewayLifetime: Int64 = 30 * Self.day
  /// How long a token is good unless told otherwise: a day.
  public var tokenLifetime: Int64 = Self.day

  /// How far clocks may differ, and for how long nonces are remembered: five minutes.
  public static let window: Int64 = 300_000
  /// How long a token may be good at most: 30 days.
  public static let maximumTokenLifetime: Int64 = 30 * Self.day

  static let day: Int64 = 86_400_000

  /// The standard durations.
  public init() {}
}
