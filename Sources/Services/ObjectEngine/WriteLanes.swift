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
    defer { _ = hashed.close() }
    while let stripe = try await hashed.next() {
      hasher.update(stripe.buffer.memory, stripe.range)
    }
  }

  func runCoding(_ encoder: StripeEncoder) async throws {
    defer {
      _ = plain.close()
      coded.finish(throwing: CancellationError())
    }
    while let stripe = try await plain.next() {
      try await coded.send(encoder.encode(stripe))
    }
    coded.finish()
  }

  func runStoring(_ fanOut: ChunkFanOut) async throws {
    defer { _ = coded.close() }
    while let stripe = try await coded.next() {
      try await fanOut.append(stripe)
      CrashPoint.reach(.putFirstStripe)
    }
  }
}
