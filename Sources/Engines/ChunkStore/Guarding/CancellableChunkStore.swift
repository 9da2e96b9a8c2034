/// A store whose calls may take long without blocking a thread, as those of another process.
///
/// Besides what every store promises: a call whose task is cancelled ends soon after, with some
/// error, and touches no buffer any more once it has ended. So a caller may give up waiting. The
/// same holds for the writers and readers that the store makes.
public protocol CancellableChunkStore: ChunkStore {}
