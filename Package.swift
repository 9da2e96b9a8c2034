// swift-tools-version: 6.2

import PackageDescription

// One executable, layers below it. A target may depend on lower layers only; the tidy test checks
// every edge of this manifest against the order of the folders under Sources.

let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableExperimentalFeature("Lifetimes"),
]

let testSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

func library(_ layer: String, _ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/\(layer)/\(name)",
    swiftSettings: swiftSettings)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: "Sources/Executables/\(name)",
    swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests",
    swiftSettings: testSettings)
}

// Debian has the library for this architecture alone: elsewhere OpenSSL's own ciphers serve.
#if arch(x86_64)
  let cipherLibraries: [LinkerSetting] = [.linkedLibrary("crypto"), .linkedLibrary("IPSec_MB")]
#else
  let cipherLibraries: [LinkerSetting] = []
#endif

let package = Package(
  name: "s3storage",
  products: [.executable(name: "s3storage", targets: ["s3storage"])],
  targets: [
    // C
    .systemLibrary(name: "COpenSSL", path: "Sources/C/COpenSSL"),
    .systemLibrary(name: "CISAL", path: "Sources/C/CISAL"),
    .systemLibrary(name: "CSQLite", path: "Sources/C/CSQLite"),
    .systemLibrary(name: "CExpat", path: "Sources/C/CExpat"),
    .systemLibrary(name: "CZstd", path: "Sources/C/CZstd"),
    // No pkg-config: Debian's grpc.pc expands to more flags than a command line takes.
    .systemLibrary(name: "CGRPC", path: "Sources/C/CGRPC"),
    .systemLibrary(name: "CPostgres", path: "Sources/C/CPostgres"),
    .systemLibrary(name: "CRedis", path: "Sources/C/CRedis"),
    .target(name: "CPlatform", path: "Sources/C/CPlatform"),
    .target(
      name: "CCipherProvider", path: "Sources/C/CCipherProvider", linkerSettings: cipherLibraries),

    // Base
    library("Base", "Base", []),
    library("Base", "Runtime", ["Base", "CPlatform"]),
    library("Base", "Telemetry", ["Base"]),

    // Wrappers
    library("Wrappers", "Crypto", ["Base", "CCipherProvider", "COpenSSL"]),
    library("Wrappers", "ISAL", ["Base", "CISAL", "CPlatform"]),
    library("Wrappers", "Disk", ["Base", "Runtime", "CPlatform"]),
    library("Wrappers", "SQLite", ["Base", "CSQLite"]),
    library("Wrappers", "XML", ["Base", "CExpat"]),
    library("Wrappers", "Compression", ["Base", "CZstd"]),
    library("Wrappers", "HTTPServer", ["Base", "Runtime", "CPlatform", "COpenSSL"]),
    library("Wrappers", "GRPC", ["Base", "Runtime", "CGRPC"]),
    library("Wrappers", "Postgres", ["Base", "Runtime", "CPostgres", "CPlatform"]),
    library("Wrappers", "Redis", ["Base", "Runtime", "CRedis", "CPlatform"]),

    // Domain
    library("Domain", "Erasure", ["Base", "ISAL"]),
    library("Domain", "Checksums", ["Base", "Crypto", "ISAL"]),
    library("Domain", "Sealing", ["Base", "Crypto"]),
    library("Domain", "Placement", ["Base"]),
    library("Domain", "Signing", ["Base", "Crypto"]),
    library("Domain", "S3Wire", ["Base", "Checksums", "XML"]),

    // Engines
    library(
      "Engines", "ChunkStore",
      ["Base", "Runtime", "Telemetry", "Disk", "Crypto", "ISAL", "Erasure"]),
    library("Engines", "Metadata", ["Base", "Runtime", "Telemetry"]),

    // Adapters
    library("Adapters", "MetadataSQLite", ["Base", "Runtime", "Telemetry", "Metadata", "SQLite"]),
    library(
      "Adapters", "MetadataPostgres", ["Base", "Runtime", "Telemetry", "Metadata", "Postgres"]),
    library(
      "Adapters", "ChunkRPC",
      ["Base", "Runtime", "Telemetry", "ChunkStore", "Crypto", "Erasure", "GRPC", "ISAL"]),
    library("Adapters", "RedisCache", ["Base", "Runtime", "Telemetry", "Metadata", "Redis"]),

    // Services
    library("Services", "Access", ["Base", "Runtime", "Crypto", "Metadata", "Sealing", "Signing"]),
    library(
      "Services", "ObjectEngine",
      [
        "Base", "Runtime", "Telemetry", "Checksums", "ChunkStore", "Compression", "Crypto", "ISAL",
        "Erasure", "Metadata", "Placement", "Sealing",
      ]),
    library(
      "Services", "Cluster",
      [
        "Base", "Runtime", "Telemetry", "ChunkStore", "Crypto", "Erasure", "Metadata",
        "ObjectEngine", "Placement", "Sealing",
      ]),
    library(
      "Services", "Recovery",
      [
        "Base", "Runtime", "Telemetry", "ChunkStore", "Compression", "Crypto", "Erasure", "ISAL",
        "Metadata", "ObjectEngine", "Placement", "Sealing",
      ]),
    library(
      "Services", "Trust", ["Base", "Runtime", "Telemetry", "Crypto", "Metadata", "Sealing"]),

    // Edges
    library(
      "Edges", "S3API",
      [
        "Base", "Runtime", "Telemetry", "Access", "Checksums", "Crypto", "HTTPServer", "Metadata",
        "ObjectEngine", "S3Wire", "Signing",
      ]),
    library(
      "Edges", "FilesAPI",
      [
        "Base", "Runtime", "Telemetry", "Access", "Checksums", "ChunkStore", "Crypto", "HTTPServer",
        "Metadata", "ObjectEngine",
      ]),
    library(
      "Edges", "AdminAPI",
      [
        "Base", "Runtime", "Telemetry", "Access", "ChunkStore", "Cluster", "Crypto", "Erasure",
        "HTTPServer", "Metadata", "ObjectEngine", "Placement", "Recovery", "Signing", "Trust",
      ]),

    // Executables
    executable(
      "s3storage",
      [
        "Base", "Runtime", "Telemetry", "Access", "AdminAPI", "ChunkRPC", "ChunkStore", "Cluster",
        "Crypto", "Disk", "Erasure", "FilesAPI", "GRPC", "HTTPServer", "Metadata",
        "MetadataPostgres", "MetadataSQLite", "ObjectEngine", "Placement", "Postgres", "Recovery",
        "Redis", "RedisCache", "S3API", "Sealing", "Signing", "SQLite", "Trust",
      ]),
    executable(
      "s3storage-bench",
      [
        "Base", "Runtime", "Checksums", "ChunkRPC", "ChunkStore", "Crypto", "Disk", "Erasure",
        "GRPC", "ISAL", "Metadata", "MetadataPostgres", "Sealing", "Telemetry",
      ]),

    // Tests
    .target(
      name: "TestSupport",
      dependencies: ["Base", "Runtime", "ChunkStore", "Disk", "Erasure", "CPlatform"],
      path: "Tests/TestSupport", swiftSettings: testSettings),
    tests("Base", ["Base", "TestSupport"]),
    tests("Runtime", ["Runtime", "Base", "TestSupport"]),
    tests("Telemetry", ["Telemetry", "Base"]),
    tests("Crypto", ["Crypto", "Base", "Runtime", "CCipherProvider", "COpenSSL"]),
    tests("ISAL", ["ISAL", "Base", "Runtime", "TestSupport"]),
    tests("Disk", ["Disk", "Base", "Runtime", "TestSupport"]),
    tests("SQLite", ["SQLite", "Base", "TestSupport"]),
    tests("XML", ["XML", "Base", "Runtime"]),
    tests("Compression", ["Compression", "Base"]),
    tests("HTTPServer", ["HTTPServer", "Base", "Runtime", "TestSupport"]),
    tests("Erasure", ["Erasure", "Base", "TestSupport"]),
    tests("Checksums", ["Checksums", "Base"]),
    tests("Sealing", ["Sealing", "Base", "Runtime", "Crypto"]),
    tests("Placement", ["Placement", "Base", "Runtime"]),
    tests("Signing", ["Signing", "Base", "Runtime", "Crypto"]),
    tests("S3Wire", ["S3Wire", "Base", "Runtime", "Checksums"]),
    tests(
      "ChunkStore",
      ["ChunkStore", "Base", "Runtime", "Crypto", "Disk", "Erasure", "ISAL", "TestSupport"]),
    tests(
      "Metadata",
      [
        "Metadata", "MetadataPostgres", "MetadataSQLite", "Base", "CSQLite", "Postgres", "Runtime",
        "SQLite", "Telemetry", "TestSupport",
      ]),
    tests("GRPC", ["GRPC", "Base", "Runtime", "TestSupport"]),
    tests("Postgres", ["Postgres", "Base", "Runtime", "TestSupport"]),
    tests("Redis", ["Redis", "Base", "Runtime", "TestSupport"]),
    tests(
      "ChunkRPC",
      [
        "ChunkRPC", "Base", "Runtime", "ChunkStore", "Crypto", "Disk", "Erasure", "GRPC",
        "Telemetry", "TestSupport",
      ]),
    tests(
      "RedisCache",
      ["RedisCache", "Base", "Runtime", "Metadata", "Redis", "Telemetry", "TestSupport"]),
    tests(
      "Cluster",
      [
        "Cluster", "Base", "Runtime", "ChunkStore", "Crypto", "Disk", "Erasure", "Metadata",
        "MetadataSQLite", "ObjectEngine", "Placement", "Sealing", "Telemetry", "TestSupport",
      ]),
    tests(
      "Recovery",
      [
        "Recovery", "Base", "Runtime", "ChunkStore", "Cluster", "Crypto", "Disk", "Erasure",
        "Metadata", "MetadataSQLite", "ObjectEngine", "Placement", "Sealing", "Telemetry",
        "TestSupport",
      ]),
    tests(
      "Trust",
      [
        "Trust", "Base", "Runtime", "Crypto", "Metadata", "MetadataSQLite", "Sealing", "Telemetry",
        "TestSupport",
      ]),
    tests(
      "Simulation",
      [
        "Base", "Runtime", "ChunkStore", "Cluster", "Crypto", "Disk", "Erasure", "Metadata",
        "MetadataSQLite", "ObjectEngine", "Placement", "Recovery", "Sealing", "SQLite",
        "Telemetry", "TestSupport",
      ]),
    tests(
      "Access",
      [
        "Access", "Base", "Runtime", "Metadata", "MetadataSQLite", "Sealing", "Signing",
        "TestSupport",
      ]),
    tests(
      "ObjectEngine",
      [
        "ObjectEngine", "Base", "Runtime", "Checksums", "ChunkStore", "Cluster", "Crypto", "Disk",
        "Erasure", "Metadata", "MetadataSQLite", "Placement", "Sealing", "TestSupport",
      ]),
    tests(
      "S3API",
      [
        "S3API", "Base", "Runtime", "Access", "Checksums", "ChunkStore", "Crypto", "Disk",
        "Erasure", "HTTPServer", "Metadata", "MetadataSQLite", "ObjectEngine", "Placement",
        "S3Wire", "Sealing", "Signing", "Telemetry", "TestSupport",
      ]),
    tests(
      "AdminAPI",
      [
        "AdminAPI", "Access", "Base", "Runtime", "ChunkStore", "Cluster", "Crypto", "Disk",
        "Erasure", "HTTPServer", "Metadata", "MetadataSQLite", "ObjectEngine", "Placement",
        "Recovery", "Sealing", "Signing", "Telemetry", "TestSupport", "Trust",
      ]),
    tests(
      "FilesAPI",
      [
        "FilesAPI", "Access", "Base", "Runtime", "ChunkStore", "Crypto", "Erasure", "HTTPServer",
        "Metadata", "ObjectEngine", "Placement", "Sealing", "Telemetry", "TestSupport",
      ]),
  ]
)
