import CPostgres

/// Statements and their results.
///
/// Statements are handed over with `send`, which waits for nothing, and go out together with
/// `finish`, which returns the result of each: one round trip for all of them. Outside of a
/// transaction they are one transaction of their own. After one that the server refuses, those
/// behind it do not run.
extension Connection {
  /// Hands a statement over, which is prepared under its number once in this session.
  public func send(
    number: Int, _ text: @autoclosure () -> String, _ values: [Parameter]
  ) throws(PostgresError) {
    var types = prepared[number]
    if types == nil {
      // Prepared by the same round trip, perhaps by a statement before it.
      for case .prepare(number, let sent) in pending { types = sent }
    }
    // Checked before anything is sent, so that a refusal leaves the session as it was.
    let packed = try PackedParameters(values, types: types ?? values.map(\.type))
    if types == nil { try prepare(number, text(), values.map(\.type)) }
    let sent = unsafe packed.withPointers { count, pointers, lengths, formats in
      unsafe PQsendQueryPrepared(
        handle, Self.name(number), count, pointers, lengths, formats, 1)
    }
    guard sent == 1 else { throw sendFailure() }
    pending.append(.query)
  }

  /// Hands a statement over that is not kept: for poolers, and for statements that run once.
  public func send(_ text: String, _ values: [Parameter] = []) throws(PostgresError) {
    let types = values.map(\.type)
    let packed = try PackedParameters(values, types: types)
    let sent = unsafe packed.withPointers { count, pointers, lengths, formats in
      unsafe PQsendQueryParams(handle, text, count, types, pointers, lengths, formats, 1)
    }
    guard sent == 1 else { throw sendFailure() }
    pending.append(.query)
  }

  /// Has everything sent and waits for the answers: the result of each statement, in order.
  ///
  /// Throws the first refusal. After `connectionLost`, `deadlineExceeded` and `cancelled` it is not
  /// known what has run.
  public func finish(_ deadline: Deadline) throws(PostgresError) -> [QueryResult] {
    guard unsafe PQpipelineSync(handle) == 1 else { throw sendFailure() }
    try flush(deadline)
    let commands = pending
    pending = []
    var results: [QueryResult] = []
    var refusal: PostgresError?
    for command in commands {
      guard let handle = unsafe try next(deadline) else { throw lost("an answer is missing") }
      let result = unsafe QueryResult(handle)
      let status = unsafe PQresultStatus(handle)
      switch status {
      case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
        if case .prepare(let number, let types) = command {
          prepared[number] = types
        } else {
          results.append(result)
        }
      case PGRES_PIPELINE_ABORTED: break
      default: refusal = unsafe refusal ?? failure(handle)
      }
      // A null ends the results of each statement.
      guard unsafe try next(deadline) == nil else { throw lost("an answer too many") }
    }
    try expectSync(deadline)
    if let refusal {
      if !refusal.leavesConnectionUsable { isBroken = true }
      throw refusal
    }
    return results
  }

  /// One statement, alone.
  public func run(
    _ text: String, _ values: [Parameter] = [], deadline: Deadline
  ) throws(PostgresError) -> QueryResult {
    try send(text, values)
    guard let result = try finish(deadline).last else { throw lost("an answer is missing") }
    return result
  }

  private func prepare(
    _ number: Int, _ text: String, _ types: [UInt32]
  ) throws(PostgresError) {
    let sent = unsafe PQsendPrepare(
      handle, Self.name(number), text, Int32(clamping: types.count), types)
    guard sent == 1 else { throw sendFailure() }
    pending.append(.prepare(number, types))
  }

  private static func name(_ number: Int) -> String { "s\(number)" }

  private func flush(_ deadline: Deadline) throws(PostgresError) {
    while true {
      switch unsafe PQflush(handle) {
      case 0: return
      case 1: if try wait(for: .writing, deadline) { try consume() }
      default: throw lost(message)
      }
    }
  }

  /// The next result, which the caller owns; nil at the end of a statement's.
  private func next(_ deadline: Deadline) throws(PostgresError) -> OpaquePointer? {
    while unsafe PQisBusy(handle) == 1 {
      _ = try wait(for: .reading, deadline)
      try consume()
    }
    guard unsafe PQstatus(handle) == CONNECTION_OK else {
      // What the server said before it went away, such as that it shuts down, may still be there.
      if let result = unsafe PQgetResult(handle) {
        unsafe PQclear(result)
      }
      throw lost(message)
    }
    return unsafe PQgetResult(handle)
  }

  private func consume() throws(PostgresError) {
    guard unsafe PQconsumeInput(handle) == 1 else { throw lost(message) }
  }

  private func expectSync(_ deadline: Deadline) throws(PostgresError) {
    guard let result = unsafe try next(deadline) else { throw lost("an answer is missing") }
    let status = unsafe PQresultStatus(result)
    unsafe PQclear(result)
    guard status == PGRES_PIPELINE_SYNC else { throw lost("answers out of order") }
  }

  private func sendFailure() -> PostgresError {
    unsafe PQstatus(handle) == CONNECTION_OK ? broken(.failed(message)) : lost(message)
  }

  private func failure(_ result: OpaquePointer) -> PostgresError {
    guard let state = unsafe field(result, PG_DIAG_SQLSTATE) else {
      return lost(message)
    }
    return .refused(
      SQLState(state),
      message: target.redact(unsafe field(result, PG_DIAG_MESSAGE_PRIMARY) ?? "no message"),
      constraint: unsafe field(result, PG_DIAG_CONSTRAINT_NAME) ?? "")
  }

  /// A field of an error (`PG_DIAG_…`, which are characters in C).
  private func field(_ result: OpaquePointer, _ code: UInt8) -> String? {
    guard let text = unsafe PQresultErrorField(result, Int32(code)) else { return nil }
    return unsafe String(cString: text)
  }
}

/// `libpq-fe.h` and `postgres_ext.h` define these as character constants, which are not imported.
private let PG_DIAG_SQLSTATE = UInt8(ascii: "C")
private let PG_DIAG_MESSAGE_PRIMARY = UInt8(ascii: "M")
private let PG_DIAG_CONSTRAINT_NAME = UInt8(ascii: "n")

extension PackedParameters {
  /// The values as `libpq` takes them, for as long as `body` runs.
  func withPointers(
    _ body: (
      Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
    ) -> Int32
  ) -> Int32 {
    unsafe bytes.withUnsafeBytes { buffer in
      let base = unsafe buffer.baseAddress.map { unsafe $0.assumingMemoryBound(to: CChar.self) }
      var pointers: [UnsafePointer<CChar>?] = unsafe []
      unsafe pointers.reserveCapacity(offsets.count)
      for offset in offsets {
        guard let offset, let base = unsafe base else {
          unsafe pointers.append(nil)
          continue
        }
        unsafe pointers.append(base + offset)
      }
      return unsafe pointers.withUnsafeBufferPointer { pointers in
        unsafe lengths.withUnsafeBufferPointer { lengths in
          unsafe formats.withUnsafeBufferPointer { formats in
            unsafe body(
              Int32(clamping: offsets.count), pointers.baseAddress, lengths.baseAddress,
              formats.baseAddress)
          }
        }
      }
    }
  }
}
