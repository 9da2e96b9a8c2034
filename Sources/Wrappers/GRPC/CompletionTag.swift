internal import CGRPC

/// One batch that the library works on. While it does, it holds a reference to the tag, which the
/// poller takes back with the batch's completion; a tag may be used again after that.
class CompletionTag: @unchecked Sendable {
  /// What the batch's completion does; runs on a poller thread. `ok` tells whether it succeeded.
  func complete(_ ok: Bool) {
    preconditionFailure("each tag does something")
  }

  /// The reference that goes through the library.
  final func retained() -> UnsafeMutableRawPointer {
    unsafe Unmanaged.passRetained(self).toOpaque()
  }

  /// Takes the reference back when the library has refused the batch.
  final func dropRetained() {
    unsafe Unmanaged.passUnretained(self).release()
  }

  /// Completes the tag that the library gives back.
  static func take(_ pointer: UnsafeMutableRawPointer, _ ok: Bool) {
    unsafe Unmanaged<CompletionTag>.fromOpaque(pointer).takeRetainedValue().complete(ok)
  }
}

/// Resumes one task. `owner` keeps alive what the batch's operations point into.
@safe
final class ContinuationTag: CompletionTag, @unchecked Sendable {
  private var continuation: UnsafeContinuation<Bool, Never>?
  private var owner: AnyObject?

  /// Sets what the next completion resumes.
  func arm(_ continuation: UnsafeContinuation<Bool, Never>, owner: AnyObject) {
    precondition(unsafe self.continuation == nil, "one batch of a kind at a time")
    unsafe self.continuation = continuation
    self.owner = owner
  }

  override func complete(_ ok: Bool) {
    let waiting = unsafe continuation.take()
    let kept = owner.take()
    unsafe waiting?.resume(returning: ok)
    withExtendedLifetime(kept) {}
  }
}

/// Calls a closure, once.
final class ClosureTag: CompletionTag, @unchecked Sendable {
  private var body: ((Bool) -> Void)?

  init(_ body: @escaping (Bool) -> Void) {
    self.body = body
  }

  override func complete(_ ok: Bool) {
    let body = body.take()
    body?(ok)
  }
}
