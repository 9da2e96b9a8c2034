import Base
import Foundation
import Metadata
import Testing

@Suite("Bad blocks")
struct BadBlockTests {
  @Test("more chunks than parity may be bad as long as no stripe has more bad blocks than that")
  func differentStripes() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 77))
    let bucket = try await installation.makeBucket()
    let expected = content(2_600_000, seed: 77)
    try await installation.put("key", expected, in: bucket)
    let extent = try #require(await installation.extents(of: "key", in: bucket).first)
    for (chunk, stripe) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
      try spoil(chunk, stripe: stripe, of: extent, installation)
    }
    let found = try await installation.read("key", in: bucket)
    #expect(isSame(found, expected[...]))
    let repairs = try await installation.store.repairs(limit: 10)
    #expect(repairs.map(\.chunks) == [0b1111], "each of the four chunks is queued for repair")
    await installation.close()
  }

  @Test("three bad blocks in one stripe are a clean error, and other stripes still read")
  func sameStripe() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 78))
    let bucket = try await installation.makeBucket()
    let expected = content(2_600_000, seed: 78)
    try await installation.put("key", expected, in: bucket)
    let extent = try #require(await installation.extents(of: "key", in: bucket).first)
    for chunk in 0..<3 { try spoil(chunk, stripe: 1, of: extent, installation) }
    await #expect(throws: (any Error).self) {
      _ = try await installation.read("key", in: bucket)
    }
    let first = try await installation.read("key", in: bucket, 0..<1_000_000)
    #expect(isSame(first, expected[..<1_000_000]))
    await installation.close()
  }

  /// Overwrites a few bytes of the block that a chunk holds of a stripe.
  private func spoil(
    _ chunk: Int, stripe: Int, of extent: Extent, _ installation: Installation
  ) throws {
    let place = try #require(installation.place(extent, chunk))
    let epoch = String(extent.id.epoch, radix: 16)
    let directory = String(repeating: "0", count: 12 - epoch.count) + epoch
    let path =
      installation.plan.path(ofStore: place) + "/chunks/\(directory)/\(extent.id)-\(chunk)"
    let file = try #require(FileHandle(forUpdatingAtPath: path))
    try file.seek(toOffset: UInt64(4096 + stripe * 262_144 + 1000))
    try file.write(contentsOf: Data([1, 2, 3, 4, 5, 6, 7, 8]))
    try file.close()
  }
}
