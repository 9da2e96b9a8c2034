internal import COpenSSL

/// Reading and writing of OpenSSL's objects as DER.
@safe
enum DER {
  /// Has an `i2d` function write its object. Stops the process when it fails: it is out of memory.
  static func encode(
    _ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
  ) -> [UInt8] {
    let count = Int(write(nil))
    precondition(count > 0, "an object cannot be encoded")
    var result = [UInt8](repeating: 0, count: count)
    unsafe result.withUnsafeMutableBufferPointer { buffer in
      var cursor = buffer.baseAddress
      _ = unsafe write(&cursor)
    }
    return result
  }

  /// Has a `d2i` function read exactly these bytes; nil unless it takes all of them.
  static func decode(
    _ bytes: [UInt8],
    _ read: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?,
    free: (OpaquePointer) -> Void
  ) -> OpaquePointer? {
    ERR_clear_error()
    defer { ERR_clear_error() }
    return unsafe bytes.withUnsafeBufferPointer { buffer -> OpaquePointer? in
      var cursor = buffer.baseAddress
      let start = unsafe cursor
      guard let object = unsafe read(&cursor, buffer.count) else { return nil }
      guard let start = unsafe start, let cursor = unsafe cursor,
        unsafe cursor - start == buffer.count
      else {
        unsafe free(object)
        return nil
      }
      return unsafe object
    }
  }
}
