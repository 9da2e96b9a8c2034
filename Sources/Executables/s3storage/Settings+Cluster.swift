import Runtime

/// Settings of what is a cluster: gateways, storage servers and their database.
extension Settings {
  private static let day = 86_400

  private static let certificates = ConfigurationOption(
    "TRUST_SECONDS", .number(1...3600), unit: "seconds", standard: "600",
    "How often certificates and trusted authorities are looked at; storage servers register then.")

  private static let secret = ConfigurationOption(
    "CLUSTER_SECRET", .secret, unit: "secret", standard: "",
    "Shared by gateways and storage servers on one machine instead of certificates; loopback only.")

  static let database = [
    ConfigurationOption(
      "DATABASE_URL", .secret, unit: "postgres://…", standard: "",
      "The PostgreSQL database of the metadata."),
    ConfigurationOption(
      "DATABASE_POOL", .number(2...200), unit: "connections", standard: "20",
      "Connections of a gateway to the database at most."),
  ]

  static let membership = [
    secret, certificates,
    ConfigurationOption(
      "REDIS_URL", .secret, unit: "redis://…", standard: "",
      "A Redis server for the cache that gateways share; empty for none."),
    ConfigurationOption(
      "HEARTBEAT_SECONDS", .number(1...600), unit: "seconds", standard: "10",
      "How often each storage server is asked how it is."),
    ConfigurationOption(
      "RING_REFRESH_SECONDS", .number(1...600), unit: "seconds", standard: "30",
      "How often the members are read from the database."),
    ConfigurationOption(
      "INACTIVE_SECONDS", .number(1...3600), unit: "seconds", standard: "30",
      "Without a heartbeat for so long, a storage server is not written to and read last."),
    ConfigurationOption(
      "DEAD_SECONDS", .number(1...day), unit: "seconds", standard: "900",
      "Without a heartbeat for so long, the chunks of a storage server are made again elsewhere."),
    ConfigurationOption(
      "LEASE_SECONDS", .number(2...600), unit: "seconds", standard: "30",
      "How long a gateway and the leader of a background worker are believed without a sign of life."
    ),
    ConfigurationOption(
      "BREAKER_FAILURES", .number(1...1000), unit: "failures", standard: "5",
      "Failures in a row after which a storage server is not asked any more."),
    ConfigurationOption(
      "BREAKER_SECONDS", .number(1...3600), unit: "seconds", standard: "30",
      "How long it is not asked then, before it is tried again."),
    ConfigurationOption(
      "BREAKER_SUCCESSES", .number(1...1000), unit: "successes", standard: "3",
      "Successes in a row after which it counts again."),
    ConfigurationOption(
      "REPAIR_SECONDS", .number(1...3600), unit: "seconds", standard: "10",
      "How often an idle repair worker looks for work."),
    ConfigurationOption(
      "SWEEP_SECONDS", .number(1...3600), unit: "seconds", standard: "60",
      "How often what gateways that are gone left behind is looked for."),
    ConfigurationOption(
      "REPAIR_PERCENT", .number(1...100), unit: "percent", standard: "30",
      "The part of the time that repair, and rebalancing as well, may work; what bears no further"
        + " loss is repaired without rests."),
  ]

  static let chunkService = [
    secret, certificates,
    ConfigurationOption(
      "GRPC_PORT", port, unit: "port", standard: "50051", "Where a storage server listens."),
    ConfigurationOption(
      "GRPC_BIND_ADDRESS", .text, unit: "address", standard: "",
      "Which address a storage server listens on: by default all with certificates, else loopback."),
    ConfigurationOption(
      "ADVERTISE", .text, unit: "host:port", standard: "",
      "Where gateways reach this storage server; by default where it listens."),
    ConfigurationOption(
      "GATEWAYS", .text, unit: "URLs", standard: "",
      "Admin APIs of gateways to register with, separated by commas."),
    ConfigurationOption(
      "REPLACES", .text, unit: "server id", standard: "",
      "The storage server, gone for good, whose place this one takes when it registers first."),
    ConfigurationOption(
      "ZONE", .text, unit: "name", standard: "",
      "What this storage server would be lost together with: a rack, a building."),
    ConfigurationOption(
      "WEIGHT", .number(1...10_000), unit: "weight", standard: "100",
      "The share of the data that each store of this server gets in relation to others."),
    ConfigurationOption(
      "METRICS_PORT", port, unit: "port", standard: "9091",
      "Where a storage server's metrics are served, on loopback."),
  ]
}
