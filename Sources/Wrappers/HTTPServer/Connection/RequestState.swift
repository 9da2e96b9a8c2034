/// What a connection knows of the request it is at.
struct RequestState {
  /// Counts the requests of the connection; bodies and writers carry it.
  var number: UInt64 = 0
  /// What is left of the body.
  var framing = BodyFraming.none
  var decoder = ChunkedDecoder()
  /// The client waits for a 100 before it sends the body.
  var expectsContinue = false
  /// A task is reading the body.
  var isReading = false
  /// What ended the body early; every later read reports it again.
  var failure: HTTPTransferError?
  var rate = RateGate()
  var minorVersion = 1
  var isHead = false

  /// Goes on to the next request.
  mutating func begin(_ parsed: ParsedHead) {
    number &+= 1
    framing = parsed.framing
    if case .chunked = framing { decoder = ChunkedDecoder() }
    expectsContinue = parsed.expectsContinue && framing != .none
    isReading = false
    failure = nil
    rate = RateGate()
    minorVersion = parsed.head.minorVersion
    if case .head = parsed.head.method { isHead = true } else { isHead = false }
  }
}

/// What a connection knows of the response it is giving.
struct ResponseState {
  /// Bytes that wait to leave with the next send.
  var output: [UInt8] = []
  /// The kernel has taken bytes of the final response.
  var hasBegun = false
  /// The streamed body's closure is at work.
  var isStreaming = false
  /// A task is writing the body.
  var isWriting = false
  /// A write ended within its bytes: nothing that follows could be understood.
  var isBroken = false
  var isChunked = false
  /// Bytes of the announced length not written yet; nil when none was announced.
  var left: Int?
  var keepsAlive = true
  var rate = RateGate()

  mutating func begin(keepsAlive: Bool) {
    output.removeAll(keepingCapacity: true)
    hasBegun = false
    isStreaming = false
    isWriting = false
    isBroken = false
    isChunked = false
    left = nil
    self.keepsAlive = keepsAlive
    rate = RateGate()
  }
}
