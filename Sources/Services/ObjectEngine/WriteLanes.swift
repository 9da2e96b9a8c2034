import Checksums
import Runtime

/// The three lanes of a streaming write and the channels between them.
///
/// A stripe's buffer returns to the budget when the last lane drops it. The lanes need no memory
/// of their own to go on, so a writer that waits for the budget is never waited for by it.
struct WriteLanes: Sendable {
  private let plain = BoundedChannel<PlainStripe>(capacity: 1)
  private let hashed = BoundedChannel<PlainStripe>(capacity: 2)
  private let coded = BoundedChannel<CodedStripe>(capacity: 1)

  /// Hands a stripe to the digests and to the coding.
  func send(_ stripe: PlainStripe) async throws {
    try await hashed.send(stripe)
    try await plain.send(stripe)
  }

  /// Says that the last stripe was sent.
  func finish() {
    hashed.finish()
    plain.finish()
  }

  /// Says that no stripe comes any more because of an error.
  func fail(_ error: any Error) {
    hashed.finish(throwing: error)
    plain.finish(throwing: error)
    coded.finish(throwing: error)
  }

  func runDigests(_ hasher: ContentHasher) async throws {
    try await run(upTo: hashed) {
      while let stripe = try await hashed.next() {
        hasher.update(stripe.buffer.memory, stripe.range)
      }
    }
  }

  func runCoding(_ encoder: StripeEncoder) async throws {
    try await run(upTo: plain) {
      do {
        while let stripe = try await plain.next() {
          try await coded.send(encoder.encode(stripe))
        }
        coded.finish()
      } catch {
        coded.finish(throwing: error)
        throw error
      }
    }
  }

  func runStoring(_ fanOut: ChunkFanOut) async throws {
    try await run(upTo: coded) {
      while let stripe = try await coded.next() {
        try await fanOut.append(stripe)
        CrashPoint.reach(.putFirstStripe)
      }
    }
  }

  /// Does the work of a lane that receives from `channel`. What it fails with is what the lane
  /// before it fails with, too: whichever of them ends first, the cause is told.
  private func run<Element>(
    upTo channel: BoundedChannel<Element>, _ body: () async throws -> Void
  ) async throws {
    do {
      try await body()
      _ = channel.close()
    } catch {
      _ = channel.close(throwing: error)
      throw error
    }
  }
}
