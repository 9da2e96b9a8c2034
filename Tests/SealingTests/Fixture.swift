import Base
import Sealing
import Testing

/// Fixed keys and ids, so that every sealed byte is the same on every run.
enum Fixture {
  static let cluster = ClusterID(high: 0x0001_0203_0405_0607, low: 0x0809_0a0b_0c0d_0e0f)
  static let extent = ExtentID(high: 0xa0a1_a2a3_a4a5_a6a7, low: 0xa8a9_aaab_acad_aeaf)
  static let otherExtent = ExtentID(high: 0xa0a1_a2a3_a4a5_a6a7, low: 0xa8a9_aaab_acad_aeae)

  static func master() throws -> MasterKey {
    try #require(MasterKey(Array(0x20..<0x40)))
  }

  static func customer() throws -> CustomerKey {
    try #require(CustomerKey(Array(0xc0..<0xe0)))
  }

  /// A ring whose key 1 is the bytes 0x40...0x5f.
  static func ring() -> KeyRing {
    KeyRing(cluster: cluster, random: counting(from: 0x40))
  }

  /// "Random" bytes that count up.
  static func counting(from start: UInt8) -> (Int) -> [UInt8] {
    var next = start
    return { count in
      (0..<count).map { _ in
        defer { next &+= 1 }
        return next
      }
    }
  }

  static func sealer(customerKey: CustomerKey? = nil) -> ExtentSealer {
    ring().sealer(for: extent, customerKey: customerKey, random: counting(from: 0))
  }

  static func fullSegment() -> [UInt8] {
    (0..<SegmentLayout.plaintextByteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
  }

  static func descriptor() -> ExtentDescriptor {
    var value = ExtentDescriptor(
      kind: .part, bucketID: 300, bucketName: "photos",
      key: Array("a/".utf8) + [0xff]
        + Array("key".utf8), tenantID: 1, ownerID: 2, sequence: 70_000,
      lastModified: Timestamp(milliseconds: 1_767_225_600_123), byteCount: 65_525)
    value.versionID = "v1"
    value.uploadID = "up"
    value.partNumber = 7
    value.etag = "5d41402abc4b2a76b9719d911017c592"
    value.storageClass = "STANDARD_IA"
    value.headers = [
      .init(name: "content-type", value: "text/plain"),
      .init(name: "cache-control", value: "no-store"),
    ]
    value.userMetadata = [.init(name: "name", value: "wert\u{e9}")]
    value.checksums = [
      .init(algorithm: 3, value: Array(0..<8)),
      .init(algorithm: 5, partCount: 2, value: Array(0..<32)),
    ]
    value.plaintextSHA256 = SHA256Digest(Array(0..<32))
    value.transform = .zstandard(originalByteCount: 1000)
    return value
  }

  static func smallDescriptor() -> ExtentDescriptor {
    ExtentDescriptor(
      kind: .object, bucketID: 0, bucketName: "", key: Array("k".utf8), tenantID: 0, ownerID: 0,
      sequence: 0, lastModified: Timestamp(milliseconds: -1), byteCount: 0)
  }
}
