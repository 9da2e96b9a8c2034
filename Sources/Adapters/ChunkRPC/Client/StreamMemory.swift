internal import Base
internal import Synchronization

/// What streams of reads may hold of messages, from all servers together: clients that read slowly
/// are not to fill the memory. A read that has no stream asks for each piece by itself, and holds
/// nothing in between.
final class StreamMemory: Sendable {
  private let limit: Int
  private let used = Atomic(0)

  /// Lends `limit` bytes at most.
  init(limit: Int) {
    self.limit = limit
  }

  /// Bytes that are lent.
  var lent: Int { used.load(ordering: .relaxed) }

  /// Memory for a stream of `length` bytes; nil when too much is in use.
  ///
  /// Long streams have fewer, longer messages while half of the memory is left; short ones do not
  /// make the server read what nobody wants.
  func lease(for length: Int) -> StreamLease? {
    if length >= 4 * WireLimits.data,
      let lease = lease(messageLength: WireLimits.data, keeping: limit / 2)
    {
      return lease
    }
    return lease(messageLength: WireLimits.pieceData, keeping: 0)
  }

  /// The message that is read, the one before it, of which stripes may still hold blocks, and the
  /// next one. Messages of which reads have left something out come on top, until that is read or
  /// the stream ends.
  private func lease(messageLength: Int, keeping others: Int) -> StreamLease? {
    let count = 3 * messageLength
    guard used.add(count, ordering: .relaxed).newValue <= limit - others else {
      used.subtract(count, ordering: .relaxed)
      return nil
    }
    return StreamLease(messageLength: messageLength, count: count, of: self)
  }

  fileprivate func end(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}

/// The memory of one stream, which goes back with the last reference.
final class StreamLease: Sendable {
  /// Bytes of data in each message.
  let messageLength: Int
  private let count: Int
  private let memory: StreamMemory

  fileprivate init(messageLength: Int, count: Int, of memory: StreamMemory) {
    self.messageLength = messageLength
    self.count = count
    self.memory = memory
  }

  deinit { memory.end(count) }
}
