internal import CGRPC
public import Runtime

/// Bytes of a buffer that go out without being copied.
///
/// `owner` is released when the library needs the bytes no more, which may be after the message
/// was sent and on any thread: nobody may write to them before.
@safe
public struct MessageSlice: ~Copyable {
  fileprivate let raw: grpc_slice

  /// Takes `range` of `buffer`. Precondition: it lies in the buffer, which lives as long as `owner`.
  public init(_ buffer: AlignedBuffer, _ range: Range<Int>, owner: AnyObject) {
    let retained = unsafe Unmanaged.passRetained(owner).toOpaque()
    unsafe raw = buffer.withBytes(range) { bytes in
      unsafe grpc_slice_new_with_user_data(
        UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count,
        { owner in
          guard let owner = unsafe owner else { return }
          unsafe Unmanaged<AnyObject>.fromOpaque(owner).release()
        }, retained)
    }
  }

  deinit {
    unsafe grpc_slice_unref(raw)
  }
}

/// A message on its way out.
@safe
public struct OutgoingMessage: ~Copyable {
  private var raw: UnsafeMutablePointer<grpc_byte_buffer>?

  /// Copies `bytes`.
  public init(_ bytes: [UInt8]) {
    var slice = unsafe Self.copied(bytes)
    unsafe raw = grpc_raw_byte_buffer_create(&slice, 1)
    unsafe grpc_slice_unref(slice)
  }

  /// Copies `head` and `tail`, and refers to the payload between them.
  public init(_ head: [UInt8], _ payload: borrowing MessageSlice, _ tail: [UInt8] = []) {
    let slices = unsafe [Self.copied(head), payload.raw, Self.copied(tail)]
    unsafe raw = slices.withUnsafeBufferPointer { slices in
      // It takes references and changes nothing.
      unsafe grpc_raw_byte_buffer_create(
        UnsafeMutablePointer(mutating: slices.baseAddress), tail.isEmpty ? 2 : 3)
    }
    unsafe grpc_slice_unref(slices[0])
    unsafe grpc_slice_unref(slices[2])
  }

  deinit {
    if let raw = unsafe raw { unsafe grpc_byte_buffer_destroy(raw) }
  }

  /// Gives the buffer away; whoever takes it destroys it.
  consuming func take() -> UnsafeMutablePointer<grpc_byte_buffer>? {
    let taken = unsafe raw
    unsafe raw = nil
    return unsafe taken
  }

  private static func copied(_ bytes: [UInt8]) -> grpc_slice {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe grpc_slice_from_copied_buffer(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }
  }
}
