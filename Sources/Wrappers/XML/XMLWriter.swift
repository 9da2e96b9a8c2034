/// Appends a document to one array of bytes.
///
/// Names are static strings and go out as they are; values are escaped. The writer does not check
/// that what it opened is closed in order: documents here have fixed shapes.
public struct XMLWriter: Sendable {
  /// What was written so far.
  public private(set) var bytes: [UInt8]

  /// Starts with the XML declaration and room for `capacity` bytes.
  public init(capacity: Int = 512, declaration: Bool = true) {
    bytes = []
    bytes.reserveCapacity(capacity)
    if declaration { raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") }
  }

  /// Appends `<name>`.
  @inline(__always)
  public mutating func open(_ name: StaticString) {
    bytes.append(0x3c)
    raw(name)
    bytes.append(0x3e)
  }

  /// Appends `<name xmlns="namespace">`.
  public mutating func open(_ name: StaticString, namespace: StaticString) {
    bytes.append(0x3c)
    raw(name)
    raw(" xmlns=\"")
    raw(namespace)
    raw("\">")
  }

  /// Appends `</name>`.
  @inline(__always)
  public mutating func close(_ name: StaticString) {
    bytes.append(0x3c)
    bytes.append(0x2f)
    raw(name)
    bytes.append(0x3e)
  }

  /// Appends `<name/>`.
  public mutating func empty(_ name: StaticString) {
    bytes.append(0x3c)
    raw(name)
    bytes.append(0x2f)
    bytes.append(0x3e)
  }

  /// Appends an element with text.
  public mutating func element(_ name: StaticString, _ value: String) {
    open(name)
    text(value)
    close(name)
  }

  /// Appends an element with text when there is some text.
  public mutating func element(_ name: StaticString, _ value: String?) {
    if let value { element(name, value) }
  }

  /// Appends an element whose name is only known at run time.
  ///
  /// Precondition: `name` is the name of an element.
  public mutating func element(named name: String, _ value: String) {
    bytes.append(0x3c)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0x3e)
    text(value)
    bytes.append(0x3c)
    bytes.append(0x2f)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0x3e)
  }

  /// Appends an element with UTF-8 text.
  @inline(__always)
  public mutating func element(_ name: StaticString, bytes value: [UInt8]) {
    open(name)
    text(bytes: value)
    close(name)
  }

  /// Appends an element with a number.
  @inline(__always)
  public mutating func element(_ name: StaticString, _ value: Int) {
    open(name)
    number(value)
    close(name)
  }

  /// Appends an element with `true` or `false`.
  public mutating func element(_ name: StaticString, _ value: Bool) {
    open(name)
    raw(value ? "true" : "false")
    close(name)
  }

  /// Appends an element whose value needs no escaping.
  @inline(__always)
  public mutating func element(_ name: StaticString, verbatim value: StaticString) {
    open(name)
    raw(value)
    close(name)
  }

  /// Appends a static run as it is.
  @inline(__always)
  public mutating func raw(_ run: StaticString) {
    unsafe bytes.append(
      contentsOf: UnsafeBufferPointer(start: run.utf8Start, count: run.utf8CodeUnitCount))
  }

  /// Appends one byte as it is.
  @inline(__always)
  public mutating func raw(byte: UInt8) {
    bytes.append(byte)
  }

  /// Appends bytes that need no escaping.
  @inline(__always)
  public mutating func raw(bytes run: some Collection<UInt8>) {
    bytes.append(contentsOf: run)
  }

  /// Appends the decimal digits of a number.
  public mutating func number(_ value: Int) {
    if value < 0 { bytes.append(0x2d) }
    var rest = value.magnitude
    var divisor: UInt = 1
    while rest / divisor > 9 { divisor *= 10 }
    while divisor > 0 {
      bytes.append(0x30 + UInt8(truncatingIfNeeded: rest / divisor))
      rest %= divisor
      divisor /= 10
    }
  }
}
