internal import Base

/// Percent-decoding of slices, in one pass; a part without escapes is not copied.
enum PercentDecoding {
  /// The decoded bytes; nil when a `%` is not followed by two digits.
  static func decode(
    _ raw: ArraySlice<UInt8>, plusAsSpace: Bool = false
  ) -> ArraySlice<UInt8>? {
    var index = raw.startIndex
    while index < raw.endIndex, raw[index] != 0x25, !(plusAsSpace && raw[index] == 0x2b) {
      index += 1
    }
    guard index < raw.endIndex else { return raw }
    var output: [UInt8] = []
    output.reserveCapacity(raw.count)
    output.append(contentsOf: raw[..<index])
    while index < raw.endIndex {
      let byte = raw[index]
      index += 1
      if byte == 0x25 {
        guard index + 1 < raw.endIndex, let high = Hex.nibble(raw[index]),
          let low = Hex.nibble(raw[index + 1])
        else { return nil }
        output.append(high << 4 | low)
        index += 2
      } else {
        output.append(byte == 0x2b && plusAsSpace ? 0x20 : byte)
      }
    }
    return output[...]
  }
}
