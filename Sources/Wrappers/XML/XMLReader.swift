internal import CExpat

/// Reads documents from outside into small trees, with Expat and within limits.
///
/// Document types are refused before anything in them is read, so that no entity but the five of
/// XML itself and character references is ever expanded. Only UTF-8 is read.
public enum XMLReader {
  /// Reads one whole document and returns its root.
  public static func parse(_ bytes: [UInt8], limits: XMLLimits) throws(XMLError) -> XMLElement {
    guard bytes.count <= limits.bytes, let count = Int32(exactly: bytes.count) else {
      throw .tooLarge
    }
    // UTF-8 XML holds no zero byte; UTF-16, which Expat would follow its mark to, nearly always.
    let mark = bytes.prefix(2)
    guard !mark.elementsEqual([0xfe, 0xff]), !mark.elementsEqual([0xff, 0xfe]),
      !bytes.contains(0)
    else { throw .encoding }
    let parser = try Parser(limits: limits)
    return try parser.parse(bytes, count: count)
  }
}

/// One Expat parser and what it feeds.
@safe private struct Parser: ~Copyable {
  private let handle: XML_Parser
  private let builder: TreeBuilder

  init(limits: XMLLimits) throws(XMLError) {
    guard let handle = unsafe XML_ParserCreate("UTF-8") else { throw .outOfMemory }
    unsafe self.handle = handle
    builder = unsafe TreeBuilder(limits: limits, parser: handle)
    unsafe XML_SetElementHandler(handle, startElement, endElement)
    unsafe XML_SetCharacterDataHandler(handle, characterData)
    unsafe XML_SetStartDoctypeDeclHandler(handle, startDocumentType)
    unsafe XML_SetXmlDeclHandler(handle, xmlDeclaration)
  }

  deinit { unsafe XML_ParserFree(handle) }

  func parse(_ bytes: [UInt8], count: Int32) throws(XMLError) -> XMLElement {
    // The builder outlives the call: `self` holds it, and Expat keeps no pointer beyond it.
    unsafe XML_SetUserData(handle, Unmanaged.passUnretained(builder).toOpaque())
    let status = unsafe bytes.withUnsafeBytes { raw in
      unsafe XML_Parse(handle, raw.baseAddress?.assumingMemoryBound(to: CChar.self), count, 1)
    }
    if let refusal = builder.refusal { throw refusal }
    guard status == XML_STATUS_OK, let root = builder.root else {
      if unsafe XML_GetErrorCode(handle) == XML_ERROR_NO_MEMORY { throw .outOfMemory }
      throw unsafe .malformed(
        line: Int(clamping: XML_GetCurrentLineNumber(handle)),
        column: Int(clamping: XML_GetCurrentColumnNumber(handle)) + 1)
    }
    return root
  }
}

/// Collects the events of one parser; used by one thread, inside one call of `XML_Parse`.
@safe private final class TreeBuilder {
  private struct Open {
    var name: String
    var text: [UInt8] = []
    var children: [XMLElement] = []
  }

  private(set) var root: XMLElement?
  private(set) var refusal: XMLError?
  private let limits: XMLLimits
  private let parser: XML_Parser
  private var open: [Open] = []
  private var elements = 0
  private var attributes = 0

  init(limits: XMLLimits, parser: XML_Parser) {
    self.limits = limits
    unsafe self.parser = parser
  }

  func refuse(_ error: XMLError) {
    guard refusal == nil else { return }
    refusal = error
    unsafe _ = XML_StopParser(parser, 0)
  }

  func start(_ name: UnsafeBufferPointer<UInt8>, attributeCount: Int) {
    guard refusal == nil else { return }
    elements += 1
    attributes += attributeCount
    guard elements <= limits.elements else { return refuse(.tooManyElements) }
    guard attributes <= limits.attributes else { return refuse(.tooManyAttributes) }
    guard open.count < limits.depth else { return refuse(.tooDeep) }
    var local = unsafe name[...]
    if let colon = unsafe local.lastIndex(of: 0x3a) { unsafe local = local[(colon + 1)...] }
    open.append(Open(name: unsafe String(decoding: local, as: UTF8.self)))
  }

  func end() {
    guard refusal == nil, let last = open.popLast() else { return }
    let element = XMLElement(name: last.name, textBytes: last.text, children: last.children)
    if open.isEmpty {
      root = element
    } else {
      open[open.count - 1].children.append(element)
    }
  }

  func text(_ run: UnsafeBufferPointer<UInt8>) {
    guard refusal == nil, !open.isEmpty else { return }
    let last = open.count - 1
    guard run.count <= limits.textBytes - open[last].text.count else {
      return refuse(.textTooLong)
    }
    unsafe open[last].text.append(contentsOf: run)
  }
}

private func builder(_ userData: UnsafeMutableRawPointer?) -> TreeBuilder? {
  unsafe userData.map { unsafe Unmanaged<TreeBuilder>.fromOpaque($0).takeUnretainedValue() }
}

private func string(_ text: UnsafePointer<XML_Char>) -> UnsafeBufferPointer<UInt8> {
  var count = 0
  while unsafe text[count] != 0 { count += 1 }
  return unsafe UnsafeBufferPointer(
    start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: count)
}

private func startElement(
  _ userData: UnsafeMutableRawPointer?, _ name: UnsafePointer<XML_Char>?,
  _ attributes: UnsafeMutablePointer<UnsafePointer<XML_Char>?>?
) {
  guard let builder = unsafe builder(userData), let name = unsafe name else { return }
  var count = 0
  if let attributes = unsafe attributes {
    // Name and value alternate; a null pointer ends the list.
    while unsafe attributes[count * 2] != nil { count += 1 }
  }
  unsafe builder.start(string(name), attributeCount: count)
}

private func endElement(_ userData: UnsafeMutableRawPointer?, _ name: UnsafePointer<XML_Char>?) {
  unsafe builder(userData)?.end()
}

private func characterData(
  _ userData: UnsafeMutableRawPointer?, _ text: UnsafePointer<XML_Char>?, _ count: Int32
) {
  guard let text = unsafe text, count > 0 else { return }
  unsafe builder(userData)?.text(
    UnsafeBufferPointer(
      start: UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), count: Int(count)))
}

private func startDocumentType(
  _ userData: UnsafeMutableRawPointer?, _ name: UnsafePointer<XML_Char>?,
  _ systemID: UnsafePointer<XML_Char>?, _ publicID: UnsafePointer<XML_Char>?,
  _ hasInternalSubset: Int32
) {
  unsafe builder(userData)?.refuse(.documentType)
}

private func xmlDeclaration(
  _ userData: UnsafeMutableRawPointer?, _ version: UnsafePointer<XML_Char>?,
  _ encoding: UnsafePointer<XML_Char>?, _ standalone: Int32
) {
  guard let encoding = unsafe encoding else { return }
  let name = unsafe String(decoding: string(encoding), as: UTF8.self).lowercased()
  if name != "utf-8" && name != "utf8" && name != "us-ascii" {
    unsafe builder(userData)?.refuse(.encoding)
  }
}
