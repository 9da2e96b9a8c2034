public import Base
public import ChunkStore
import Erasure
public import Runtime

/// A chunk whose bytes follow from its name, its length (a multiple of 64) and a generation.
public struct SampleChunk: Hashable, Sendable {
  /// The cluster that all of them belong to.
  public static let cluster = ClusterID(high: 0x0c1, low: 0x0c2)

  /// Its name.
  public var id: ChunkID
  /// Bytes of its data.
  public var length: Int
  /// Tells apart chunks of one name.
  public var generation: UInt64

  /// The chunk of that number.
  public init(_ number: UInt64, length: Int, generation: UInt64 = 0, epoch: UInt64 = 7) {
    id = ChunkID(
      extent: ExtentID(epoch: epoch, random: (UInt16(truncatingIfNeeded: number), number &* 977)),
      index: UInt8(number % 6))
    self.length = length
    self.generation = generation
  }

  /// What it begins with.
  public var header: ChunkHeader {
    ChunkHeader(id: id, scheme: .standard, cluster: Self.cluster)
  }

  /// Its data.
  public var bytes: [UInt8] {
    let seed = id.extent.low &* 31 &+ generation &* 1_000_003 &+ UInt64(length)
    return Array(unsafeUninitializedCapacity: length) { buffer, count in
      UnsafeMutableRawBufferPointer(buffer).withMemoryRebound(to: UInt64.self) { words in
        for index in words.indices {
          words[index] = (seed &+ UInt64(index)) &* 0x9e37_79b9_7f4a_7c15
        }
      }
      count = length
    }
  }

  /// Its data, as it is written.
  public func buffer() -> AlignedBuffer {
    let buffer = AlignedBuffer(count: max(length, 1))
    buffer.copy(bytes)
    return buffer
  }

  /// What it ends with.
  public var trailer: ChunkTrailer {
    let digester = ChunkDigester(id: id)
    bytes.withUnsafeBytes { digester.append($0) }
    return digester.finish(
      extentLength: length * 4, storedLength: length * 4, wrappedKey: Array("key".utf8),
      descriptor: Array("descriptor \(generation)".utf8))
  }

  /// Whether it goes into a volume.
  public var isSmall: Bool { length <= ChunkLimits.smallDataLength }

  /// Writes it the way its length asks for.
  public func put(
    to store: any ChunkStore, space: ChunkSpace = .free
  ) async throws(ChunkStoreError) {
    if isSmall {
      try await store.putSmall(
        header, data: buffer(), range: 0..<length, trailer: trailer, space: space)
      return
    }
    let writer = try await store.beginChunk(header)
    do throws(ChunkStoreError) {
      let buffer = buffer()
      for start in stride(from: 0, to: length, by: 262_144) {
        try await writer.append(buffer, start..<min(start + 262_144, length))
      }
      try await writer.finish(trailer)
    } catch {
      await writer.abort()
      throw error
    }
  }
}
