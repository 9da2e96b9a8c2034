internal import CRedis
internal import Glibc

/// One connection to a Redis server. Used by one thread at a time, which its calls block for at
/// most the timeout each; closed with the last reference.
///
/// After `RedisError.connection` it is of no use any more.
@safe
public final class RedisConnection {
  /// Elements of an answer, and how deep they nest, at most.
  private static let maximumElements = 4096
  private static let maximumDepth = 4

  private let context: UnsafeMutablePointer<redisContext>
  /// Whether a failure has ended the connection.
  public private(set) var isBroken = false

  /// Connects, and says who it is where the address does. `milliseconds` bounds the connecting and
  /// each answer; it is 1 to 60,000.
  public init(to address: RedisAddress, milliseconds: Int) throws(RedisError) {
    let bounded = min(max(milliseconds, 1), 60_000)
    let timeout = timeval(
      tv_sec: bounded / 1000, tv_usec: suseconds_t(bounded % 1000) * 1000)
    guard
      let made = unsafe redisConnectWithTimeout(address.host, Int32(address.port), timeout)
    else { throw .connection("no memory") }
    unsafe context = made
    guard unsafe made.pointee.err == 0, unsafe redisSetTimeout(made, timeout) == REDIS_OK else {
      throw failure()
    }
    if let password = address.password {
      let user = address.user.map { [Array($0.utf8)] } ?? []
      try expectOK([Array("AUTH".utf8)] + user + [Array(password.utf8)])
    }
    if address.database != 0 {
      try expectOK([Array("SELECT".utf8), Array("\(address.database)".utf8)])
    }
  }

  deinit {
    unsafe redisFree(context)
  }

  /// Runs one command and returns its answer, which may be `failure`.
  ///
  /// Precondition: `arguments` is not empty.
  public func run(_ arguments: [[UInt8]]) throws(RedisError) -> RedisReply {
    try runAll([arguments])[0]
  }

  /// Runs commands in one exchange and returns their answers in order.
  public func runAll(_ commands: [[[UInt8]]]) throws(RedisError) -> [RedisReply] {
    guard !isBroken else { throw .connection("the connection has ended") }
    for command in commands { try append(command) }
    var replies: [RedisReply] = []
    for _ in commands {
      var raw: UnsafeMutableRawPointer?
      let status = unsafe redisGetReply(context, &raw)
      guard status == REDIS_OK, let raw = unsafe raw else { throw failure() }
      defer { unsafe freeReplyObject(raw) }
      let reply = unsafe raw.assumingMemoryBound(to: redisReply.self)
      guard let value = unsafe Self.value(reply, depth: 0) else {
        isBroken = true
        throw .unexpectedReply
      }
      replies.append(value)
    }
    return replies
  }

  private func append(_ arguments: [[UInt8]]) throws(RedisError) {
    precondition(!arguments.isEmpty, "a command has a name")
    let lengths = arguments.map(\.count)
    // One run of bytes that stays where it is while the C library copies from it.
    let joined = Array(arguments.joined()) + [0]
    let status = unsafe joined.withUnsafeBytes { bytes -> Int32 in
      guard let base = unsafe bytes.bindMemory(to: CChar.self).baseAddress else { return REDIS_ERR }
      var start = unsafe base
      var pointers: [UnsafePointer<CChar>?] = unsafe []
      for length in lengths {
        unsafe pointers.append(start)
        unsafe start += length
      }
      return unsafe redisAppendCommandArgv(context, Int32(lengths.count), &pointers, lengths)
    }
    guard status == REDIS_OK else { throw failure() }
  }

  private func expectOK(_ arguments: [[UInt8]]) throws(RedisError) {
    switch try run(arguments) {
    case .status("OK"): return
    case .failure(let code): throw .refused(code)
    default: throw .unexpectedReply
    }
  }

  /// What the library says of the connection, which is of no use any more.
  private func failure() -> RedisError {
    isBroken = true
    switch unsafe context.pointee.err {
    case REDIS_ERR_EOF: return .connection("the server closed it")
    case REDIS_ERR_PROTOCOL: return .connection("the server does not speak Redis")
    case REDIS_ERR_OOM: return .connection("no memory")
    default: return .connection("not reachable, or no answer in time")
    }
  }

  private static func value(
    _ reply: UnsafeMutablePointer<redisReply>, depth: Int
  ) -> RedisReply? {
    let type = unsafe reply.pointee.type
    switch type {
    case REDIS_REPLY_NIL: return .null
    case REDIS_REPLY_INTEGER: return .integer(unsafe reply.pointee.integer)
    case REDIS_REPLY_STRING: return .bytes(unsafe bytes(reply))
    case REDIS_REPLY_STATUS:
      return .status(String(decoding: unsafe bytes(reply).prefix(256), as: UTF8.self))
    case REDIS_REPLY_ERROR:
      let text = String(decoding: unsafe bytes(reply).prefix(256), as: UTF8.self)
      return .failure(String(text.prefix { $0 != " " }))
    case REDIS_REPLY_ARRAY:
      let count = unsafe reply.pointee.elements
      guard depth < maximumDepth, count <= maximumElements else { return nil }
      var values: [RedisReply] = []
      for index in 0..<count {
        guard let element = unsafe reply.pointee.element?[index],
          let value = unsafe value(element, depth: depth + 1)
        else { return nil }
        values.append(value)
      }
      return .array(values)
    default: return nil
    }
  }

  private static func bytes(_ reply: UnsafeMutablePointer<redisReply>) -> [UInt8] {
    guard let text = unsafe reply.pointee.str else { return [] }
    return unsafe Array(UnsafeRawBufferPointer(start: text, count: reply.pointee.len))
  }
}
