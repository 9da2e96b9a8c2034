import Base
import Foundation
import Metadata
import ObjectEngine
import Runtime

/// Bytes that are the same for the same seed.
func content(_ count: Int, seed: UInt64) -> [UInt8] { SeededRandom(seed: seed).bytes(count) }

/// Compares by memory, since loops over bytes take long in a debug build.
func isSame(_ found: [UInt8]?, _ expected: ArraySlice<UInt8>) -> Bool {
  guard let found, found.count == expected.count else { return false }
  if found.isEmpty { return true }
  return found.withUnsafeBytes { found in
    expected.withUnsafeBytes { expected in
      guard let left = found.baseAddress, let right = expected.baseAddress else { return false }
      return memcmp(left, right, found.count) == 0
    }
  }
}

/// One object of each way in which objects are kept, small enough to be made often.
struct SampleObject: Sendable {
  let key: String
  /// The parts of a multipart object; one for another.
  let parts: [[UInt8]]
  let isInline: Bool

  let content: [UInt8]

  init(key: String, parts: [[UInt8]], isInline: Bool = false) {
    self.key = key
    self.parts = parts
    self.isInline = isInline
    content = parts.flatMap { $0 }
  }

  static let all: [SampleObject] = [
    SampleObject(key: "inline", parts: [ObjectEngineTests.content(5000, seed: 1)], isInline: true),
    SampleObject(key: "empty", parts: [[]], isInline: true),
    SampleObject(key: "volume", parts: [ObjectEngineTests.content(40_000, seed: 2)]),
    SampleObject(key: "volume-larger", parts: [ObjectEngineTests.content(300_001, seed: 3)]),
    SampleObject(key: "one-stripe", parts: [ObjectEngineTests.content(700_000, seed: 4)]),
    SampleObject(key: "stripes", parts: [ObjectEngineTests.content(2_200_007, seed: 5)]),
    SampleObject(
      key: "parts",
      parts: [
        ObjectEngineTests.content(600_000, seed: 6), ObjectEngineTests.content(70_000, seed: 7),
        ObjectEngineTests.content(1_100_000, seed: 8),
      ]),
  ]

  /// Ranges that begin and end in, at and across segments, blocks, stripes and parts.
  var ranges: [Range<Int>] {
    let count = content.count
    let marks = [0, 1, 65_519, 65_520, 65_521, 262_080, 600_000, 1_048_319, 1_048_320, 1_048_321]
      .filter { $0 < count }
    var result = zip(marks, marks.dropFirst()).map { $0..<$1 }
    if count > 2 { result += [count - 1..<count, 1..<count - 1, count / 3..<count / 2] }
    return result
  }
}

extension Installation {
  /// Writes all sample objects into a new bucket.
  func putSamples() async throws -> Bucket {
    let bucket = try await makeBucket()
    for sample in SampleObject.all {
      if sample.parts.count > 1 {
        try await putParts(sample.key, sample.parts, in: bucket)
      } else {
        try await put(sample.key, sample.content, in: bucket)
      }
    }
    return bucket
  }

  /// The bucket that `putSamples` made.
  func sampleBucket() async throws -> Bucket {
    guard let bucket = try await store.bucket(named: "bucket", tenant: 1) else {
      throw MetadataError.noSuchBucket
    }
    return bucket
  }

  /// Keys of samples that do not read back byte for byte, whole or in ranges.
  func unreadableSamples(
    by engine: ObjectEngine? = nil, ranges: Bool = true
  ) async throws -> [String] {
    let bucket = try await sampleBucket()
    var bad: [String] = []
    for sample in SampleObject.all {
      let content = sample.content
      do {
        let whole = try await read(sample.key, in: bucket, by: engine)
        if !isSame(whole, content[...]) { bad.append(sample.key) }
        for range in ranges ? sample.ranges : [] {
          let found = try await read(sample.key, in: bucket, range, by: engine)
          if !isSame(found, content[range]) { bad.append("\(sample.key) \(range)") }
        }
      } catch {
        bad.append("\(sample.key): \(error)")
      }
    }
    return bad
  }
}
