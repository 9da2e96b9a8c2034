extension XMLWriter {
  /// Appends text with what XML reserves escaped.
  public mutating func text(_ value: String) {
    var value = value
    value.withUTF8 { run in
      unsafe escape(run)
    }
  }

  /// Appends UTF-8 text with what XML reserves escaped.
  ///
  /// Control characters go out as character references. XML 1.0 can carry only tab, line feed and
  /// carriage return that way; S3 sends the others the same, and clients that must read such keys
  /// ask for `encoding-type=url`.
  public mutating func text(bytes value: [UInt8]) {
    unsafe value.withUnsafeBufferPointer { run in
      unsafe escape(run)
    }
  }

  private mutating func escape(_ run: UnsafeBufferPointer<UInt8>) {
    var clean = 0
    var index = 0
    while index < run.count {
      let byte = unsafe run[index]
      guard Self.isReserved[Int(byte)] else {
        index += 1
        continue
      }
      if clean < index { unsafe raw(bytes: run[clean..<index]) }
      reference(byte)
      index += 1
      clean = index
    }
    if clean < run.count { unsafe raw(bytes: run[clean..<run.count]) }
  }

  private mutating func reference(_ byte: UInt8) {
    switch byte {
    case 0x26: raw("&amp;")
    case 0x3c: raw("&lt;")
    case 0x3e: raw("&gt;")
    case 0x22: raw("&quot;")
    case 0x27: raw("&#39;")
    default:
      raw("&#x")
      if byte > 0x0f { raw(byte: Self.digit(byte >> 4)) }
      raw(byte: Self.digit(byte & 15))
      raw(byte: 0x3b)
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x41 + value - 10
  }

  /// One flag for each byte value: markup, quotes, control characters.
  private static let isReserved: [256 of Bool] = {
    var table: [256 of Bool] = .init(repeating: false)
    for byte in 0..<0x20 { table[byte] = true }
    for byte in [0x7f, 0x26, 0x3c, 0x3e, 0x22, 0x27] { table[byte] = true }
    return table
  }()
}
