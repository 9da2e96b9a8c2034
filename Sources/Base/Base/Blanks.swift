extension ArraySlice<UInt8> {
  /// The slice without spaces and tabs at both ends: what RFC 9110, section 5.6.3, lets surround a
  /// value.
  public func trimmingBlanks() -> ArraySlice<UInt8> {
    var slice = self
    while let first = slice.first, first == 0x20 || first == 0x09 { slice.removeFirst() }
    while let last = slice.last, last == 0x20 || last == 0x09 { slice.removeLast() }
    return slice
  }
}
