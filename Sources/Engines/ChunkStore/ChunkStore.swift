public import Base
public import Runtime

/// Keeps chunks on one device, near or far.
///
/// All functions may block and run on their caller's executor: call them on a `ThreadPool`. They
/// may be called from any number of tasks at once. Whatever returns without an error is durable.
public protocol ChunkStore: Sendable {
  /// Names the store for as long as its directory lives.
  var id: StoreID { get }

  /// Writes a chunk of at most `ChunkLimits.smallDataLength` bytes of data, which are the bytes
  /// `range` of `data`; returns when it is durable. It replaces a chunk of the same name.
  ///
  /// `trailer` describes exactly these bytes; it is written as given. Nobody may write to `data`
  /// until the call returns. Throws `full` when `space` has no room for it.
  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError)

  /// Starts a chunk of any length. Nobody sees it until its writer has finished.
  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter

  /// Opens a chunk for reading; throws `missing` when there is none of that name.
  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader

  /// Deletes chunks; those that are not there are deleted already. When it returns, none of them
  /// comes back after a power cut; when it throws, some may have been deleted.
  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError)

  /// What a chunk's own descriptions say; its data is not read.
  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus

  /// Reads all of a chunk and checks every checksum and its SHA-256; throws `corrupt` when one
  /// does not match.
  func verify(_ id: ChunkID) async throws(ChunkStoreError)

  /// Some of the chunks, at most `limit` (at least 1), from a position that an earlier page gave.
  ///
  /// A walk over all pages names each chunk that is there all the while exactly once, and may or
  /// may not name those that come or go meanwhile. The order means nothing.
  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage

  /// Looks at the store and tells how it is. Never throws: the answer may be "offline".
  func health() async -> StoreHealth
}

extension ChunkStore {
  /// Writes a small chunk into the space that is free for everybody.
  public func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer
  ) async throws(ChunkStoreError) {
    try await putSmall(header, data: data, range: range, trailer: trailer, space: .free)
  }
}

/// Writes one chunk. Used by one task at a time; `finish` or `abort` ends it.
public protocol ChunkWriter: AnyObject, Sendable {
  /// Appends the bytes `range` of `buffer`: whole blocks, in order.
  ///
  /// `range` begins at a multiple of 4 KiB; its length is one too, but for the last call. Nobody
  /// may write to `buffer` until the call returns. After an error only `abort` is of use.
  func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError)

  /// As `append` where that neither waits nor fails; false, and nothing done, where it may.
  func appendAtOnce(_ buffer: AlignedBuffer, _ range: Range<Int>) -> Bool

  /// Ends the chunk; when it returns, the chunk is durable and has replaced one of the same name.
  ///
  /// `trailer` describes exactly the bytes appended; it is written as given. Throws `tooLarge`
  /// when it does not fit them.
  func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError)

  /// Appends each of `parts` and ends the chunk, in fewer writes than one by one where the store
  /// can; the rules of `append` and `finish` hold.
  func finish(
    _ trailer: ChunkTrailer, appending parts: [ChunkPart]
  ) async throws(ChunkStoreError)

  /// Gives the chunk up and frees its space; does nothing after `finish` has returned.
  func abort() async
}

extension ChunkWriter {
  /// Every piece is waited for.
  public func appendAtOnce(_ buffer: AlignedBuffer, _ range: Range<Int>) -> Bool { false }

  /// One part after the other.
  public func finish(
    _ trailer: ChunkTrailer, appending parts: [ChunkPart]
  ) async throws(ChunkStoreError) {
    for part in parts { try await append(part.buffer, part.range) }
    try await finish(trailer)
  }
}

/// Reads one chunk. May be used by several tasks at once.
public protocol ChunkReader: AnyObject, Sendable {
  /// The chunk's description of itself.
  var trailer: ChunkTrailer { get }

  /// Reads a range of the chunk's data to `offset` of `buffer`; all of it has been verified.
  ///
  /// `range` lies in the data, begins at a multiple of 64 KiB and ends at one or at the end.
  /// `offset` is a multiple of 4 KiB, and the buffer has room for the range rounded up to one: what
  /// lies between is undefined afterwards. Throws `corrupt` when a checksum does not match.
  func read(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError)

  /// Reads a range as `read` does and lends the bytes where they came to, which spares a copy; nil
  /// where only `read` can give it.
  ///
  /// Whoever holds them holds the memory: let go of them soon.
  func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)?

  /// As `lend` where what is wanted has come already; nil where it may not have, or is not right:
  /// `lend` tells. Neither waits nor blocks.
  func lendAtOnce(_ range: Range<Int>) -> (any LentBytes)?

  /// Lets go of the chunk. Reads that follow throw.
  func close()
}

extension ChunkReader {
  /// Every range is to be read.
  public func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)? { nil }

  /// Every read may have to wait.
  public func lendAtOnce(_ range: Range<Int>) -> (any LentBytes)? { nil }
}
