public import Metadata

/// Why the engine refused or failed; edges map it to their own answers.
public enum EngineError: Error, Hashable, Sendable {
  /// Metadata refused.
  case metadata(MetadataError)
  /// The body is larger than the limit, in bytes.
  case tooLarge(limit: Int64)
  /// The body ended before its declared length.
  case incompleteBody
  /// A digest that the client gave does not match what arrived; its name.
  case digestMismatch(String)
  /// Too few stores take a write: `available` of `needed`.
  case tooFewStores(available: Int, needed: Int)
  /// All stores that could take a chunk are full.
  case storesFull
  /// Fewer chunks than needed can be read; nothing was deleted.
  case unreadable(available: Int, needed: Int)
  /// What was read does not open under its key.
  case corrupt
  /// A part other than the last is smaller than S3 allows; its number.
  case partTooSmall(Int)
}
