/// From a parsed request to the last byte of its answer. Loop thread only.
extension Connection {
  /// Calls the handler and sends what it answers.
  func answer(_ parsed: ParsedHead) async throws(HTTPTransferError) {
    let request = HTTPRequest(
      head: parsed.head,
      body: HTTPRequestBody(
        contentLength: parsed.framing == .chunked ? nil : parsed.contentLength ?? 0,
        connection: self, requestNumber: self.request.number),
      remoteAddress: remoteAddress, isTLS: tls != nil)
    let answer: HTTPResponse
    do {
      answer = try await service.handler(request)
    } catch {
      answer = try response(to: error)
    }
    if isCut || isDisconnected { throw .disconnected }
    try await respond(answer)
  }

  /// What to answer when the handler failed; rethrows when nobody is left to read it.
  private func response(to error: any Error) throws(HTTPTransferError) -> HTTPResponse {
    guard let failure = request.failure ?? error as? HTTPTransferError else {
      return errorResponse(500, "internal error")
    }
    switch failure {
    case .malformed(let reason): return errorResponse(400, reason)
    case .timedOut: return errorResponse(408, "request body not received in time")
    case .tooLarge: return errorResponse(413, "request body too large")
    case .disconnected: throw .disconnected
    case .cancelled, .tooLong, .misused: return errorResponse(500, "internal error")
    }
  }

  /// Sends one response, whole.
  func respond(_ answer: HTTPResponse) async throws(HTTPTransferError) {
    if answer.closesConnection { response.keepsAlive = false }
    switch answer.body {
    case .none: try await respond(answer, bytes: [])
    case .bytes(let bytes): try await respond(answer, bytes: bytes)
    case .stream(let length, let write): try await respond(answer, length: length, write)
    }
  }

  private func respond(
    _ answer: HTTPResponse, bytes: [UInt8]
  ) async throws(HTTPTransferError) {
    dropBufferedBody()
    guard stageHead(answer, length: bytes.count) else { return try await respondInternalError() }
    guard mayHaveBody(answer.status), !bytes.isEmpty else {
      return try await sendOutput(.none, cancellably: false)
    }
    if response.output.count + bytes.count <= WindowPool.small {
      response.output.append(contentsOf: bytes)
      return try await sendOutput(.none, cancellably: false)
    }
    try await sendOutput(.array(bytes), cancellably: false)
  }

  private func respond(
    _ answer: HTTPResponse, length: Int?, _ write: (HTTPBodyWriter) async throws -> Void
  ) async throws(HTTPTransferError) {
    guard length ?? 0 >= 0, stageHead(answer, length: length) else {
      return try await respondInternalError()
    }
    guard mayHaveBody(answer.status) else {
      return try await sendOutput(.none, cancellably: false)
    }
    response.left = length
    response.isStreaming = true
    do {
      defer { response.isStreaming = false }
      try await write(HTTPBodyWriter(connection: self, requestNumber: request.number))
    } catch {
      return try await abandonStream()
    }
    guard !response.isBroken, response.left ?? 0 == 0 else { return try await abandonStream() }
    if response.isChunked { response.output.append(contentsOf: "0\r\n\r\n".utf8) }
    try await sendOutput(.none, cancellably: false)
  }

  /// A streamed body that did not come to its end: an error while that can still be said, else a
  /// cut that no client takes for the end.
  private func abandonStream() async throws(HTTPTransferError) {
    if response.hasBegun || response.isBroken || isCut || isDisconnected {
      reset()
      throw .disconnected
    }
    try await respondInternalError()
  }

  /// Answers 500 in place of a response that could not be given, and ends the connection.
  private func respondInternalError() async throws(HTTPTransferError) {
    response.keepsAlive = false
    response.isChunked = false
    response.left = nil
    let answer = errorResponse(500, "internal error")
    if case .bytes(let bytes) = answer.body, stageHead(answer, length: bytes.count) {
      if mayHaveBody(500) { response.output.append(contentsOf: bytes) }
    } else {
      _ = stageHead(HTTPResponse(status: 500), length: 0)
    }
    try await sendOutput(.none, cancellably: false)
  }

  /// RFC 9110 §6.4.1: which responses have content at all.
  private func mayHaveBody(_ status: Int) -> Bool {
    !request.isHead && status != 204 && status != 304
  }

  /// Puts the head into the output; false, with nothing staged, when the response is not valid.
  private func stageHead(_ answer: HTTPResponse, length: Int?) -> Bool {
    if response.output.capacity == 0 { response.output = loop.pool.takeOutput() }
    response.output.removeAll(keepingCapacity: true)
    if !mayKeepConnection { response.keepsAlive = false }
    let framing: ResponseHead.Framing
    if answer.status == 204 || (answer.status == 304 && length == 0) {
      framing = .absent
    } else if let length {
      framing = .length(length)
    } else if request.minorVersion == 0 {
      framing = .untilClose
      response.keepsAlive = false
    } else {
      framing = .chunked
      response.isChunked = mayHaveBody(answer.status)
    }
    var isEmpty = false
    if case .none = answer.body { isEmpty = true }
    let connection = ResponseHead.Connection(
      framing: framing, keepsAlive: response.keepsAlive, minorVersion: request.minorVersion,
      allowsForeignLength: isEmpty && (request.isHead || answer.status == 304))
    do throws(ResponseHead.Invalid) {
      try ResponseHead.append(
        to: &response.output, answer, connection, serverLine: service.serverLine,
        dateLine: loop.dateLine)
      return true
    } catch {
      response.output.removeAll(keepingCapacity: true)
      return false
    }
  }
}
