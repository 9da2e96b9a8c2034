import Base
public import Metadata
import Runtime

/// An object or a part of one as the source of a write: read ahead while the write goes on.
final class ChannelSource: ObjectSource {
  let expectedLength: Int64?
  private let channel: BoundedChannel<[UInt8]>
  private var current: [UInt8] = []
  private var position = 0

  init(_ channel: BoundedChannel<[UInt8]>, length: Int64) {
    self.channel = channel
    expectedLength = length
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    if position == current.count {
      guard let next = try await channel.next() else { return 0 }
      current = next
      position = 0
    }
    let taken = min(count, current.count - position)
    buffer.copy(Array(current[position..<position + taken]), at: offset)
    position += taken
    return taken
  }
}

extension ObjectEngine {
  /// Bytes of a copy that wait between its reading and its writing side, a piece at a time.
  private static let copyPiece = 256 << 10

  /// Runs `write` with the content of `range` of a version as its source: copies are by value.
  ///
  /// Throws what reading or `write` throws.
  func withContent<R: Sendable>(
    of version: ObjectVersion, _ range: Range<Int64>,
    _ write: (any ObjectSource) async throws -> R
  ) async throws -> R {
    if version.extentCount == 0 {
      let bytes = version.size == 0 ? [] : try inlineContent(version)
      return try await write(
        ArraySource(Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])))
    }
    if range.isEmpty { return try await write(ArraySource([])) }
    return try await withContent(of: try await beginRead(version, range), Int64(range.count), write)
  }

  /// Runs `write` with all that `read`, which has not been prepared, gives: `length` bytes.
  private func withContent<R: Sendable>(
    of read: ObjectRead, _ length: Int64, _ write: (any ObjectSource) async throws -> R
  ) async throws -> R {
    // Had before the writing side asks for its own and kept to the end: whoever holds a buffer
    // for writing a copy never waits for one to read it with.
    let buffer = try await copyBuffers.stripe(read.largestBuffer)
    let channel = BoundedChannel<[UInt8]>(capacity: 2)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: pool) {
        do {
          try await read.stream(through: buffer) { buffer, range in
            for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.copyPiece) {
              let end = min(start + Self.copyPiece, range.upperBound)
              try await channel.send(buffer.bytes(start..<end))
              CrashPoint.reach(.copyFirstPiece)
            }
          }
          channel.finish()
        } catch {
          channel.finish(throwing: error)
        }
      }
      do {
        let result = try await write(ChannelSource(channel, length: length))
        try await group.waitForAll()
        return result
      } catch {
        _ = channel.close()
        throw error
      }
    }
  }

  /// Writes an object with the content of another: `source` as it was looked up with its content.
  public func copy(_ source: ObjectVersion, to request: PutRequest) async throws -> PutResult {
    var request = request
    request.maximumSize = max(configuration.maximumPutSize, source.size)
    let result = try await withContent(of: source, 0..<source.size) { content in
      try await put(request, from: content)
    }
    CrashPoint.reach(.copyCommitted)
    return result
  }

  /// Writes an object with all of the content of an extent that no version names. Throws
  /// `EngineError` when it cannot be read.
  public func copy(_ extent: Extent, to request: PutRequest) async throws -> PutResult {
    guard extent.plaintextLength > 0 else { return try await put(request, from: ArraySource([])) }
    var request = request
    request.maximumSize = max(configuration.maximumPutSize, extent.plaintextLength)
    return try await withContent(of: try read(extent), extent.plaintextLength) { content in
      try await put(request, from: content)
    }
  }

  /// Replaces what an object carries besides its content, provided it is still `current`.
  public func replaceAttributes(
    of current: ObjectVersion, attributes: ObjectAttributes, storageClass: String
  ) async throws -> CommittedVersion {
    try await mappingErrors {
      try await metadata.replaceAttributes(
        bucket: current.bucket, key: current.key, expected: current.number,
        version: writer.nextOpaqueID(), attributes: attributes, storageClass: storageClass,
        checksum: current.checksum)
    }
  }

  /// Runs `body` and turns what metadata throws into `EngineError`.
  func mappingErrors<R>(_ body: () async throws -> R) async throws -> R {
    do {
      return try await body()
    } catch let error as MetadataError {
      throw EngineError.metadata(error)
    }
  }
}
