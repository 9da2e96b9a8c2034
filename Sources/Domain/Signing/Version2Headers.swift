internal import Base

/// The headers that a signature of version 2 covers: those sent, and those that a client put into
/// the query of the URL instead.
///
/// Nobody can say the same thing twice: a header that comes by both ways, or by the query more than
/// once, is refused, and so is one that could be taken for two. What the string to sign holds is
/// therefore what the operation reads.
struct Version2Headers {
  /// Those with a line of their own, in order.
  static let positional = ["content-md5", "content-type"]

  /// Lower-case names and their values, in the order of the names.
  private var fields: [(name: [UInt8], value: [UInt8])] = []

  init(_ request: UnverifiedRequest, _ query: CanonicalQuery) throws(SigningError) {
    for field in request.fields {
      let name = field.name.map { UnverifiedRequest.lower($0) }
      guard Self.isSigned(name) else { continue }
      if let index = fields.firstIndex(where: { $0.name == name }) {
        fields[index].value.append(UInt8(ascii: ","))
        fields[index].value.append(contentsOf: field.value.trimmingBlanks())
      } else {
        fields.append((name, Array(field.value.trimmingBlanks())))
      }
    }
    let sentCount = fields.count
    for parameter in query.parameters {
      let name = query.bytes[parameter.name].map { UnverifiedRequest.lower($0) }
      guard Self.isSigned(name) else { continue }
      // A header of the request itself stands for the one of the URL that it repeats.
      let value = CanonicalEncoding.decode(query.bytes[parameter.value])
      if let index = fields.firstIndex(where: { $0.name == name }) {
        guard index < sentCount, let value,
          fields[index].value.elementsEqual(value.trimmingBlanks())
        else { throw Self.refused(name) }
        continue
      }
      guard !name.contains(UInt8(ascii: "%")), let value,
        value.allSatisfy({ ($0 >= 0x20 && $0 != 0x7f) || $0 == 0x09 })
      else { throw Self.refused(name) }
      fields.append((name, Array(value.trimmingBlanks())))
    }
    fields.sort { $0.name.lexicographicallyPrecedes($1.name) }
  }

  /// The value of a lower-case name; several are joined by commas.
  func value(_ name: String) -> ArraySlice<UInt8>? {
    fields.first { $0.name.elementsEqual(name.utf8) }.map { $0.value[...] }
  }

  /// Appends a line for each `x-amz-…` header.
  func writeAmz(to output: inout [UInt8]) {
    for field in fields where field.name.starts(with: "x-amz-".utf8) {
      output.append(contentsOf: field.name)
      output.append(UInt8(ascii: ":"))
      output.append(contentsOf: field.value)
      output.append(0x0a)
    }
  }

  private static func isSigned(_ name: [UInt8]) -> Bool {
    // A content delivery network adds it behind the signer's back, and nothing here reads it.
    if name.elementsEqual("x-amz-cf-id".utf8) { return false }
    return name.starts(with: "x-amz-".utf8) || positional.contains { name.elementsEqual($0.utf8) }
  }

  private static func refused(_ name: [UInt8]) -> SigningError {
    .malformed(
      presigned: true, "A header in the query is mal-formed or given more than once.",
      [.init("HeaderName", String(decoding: name.prefix(128), as: UTF8.self))])
  }
}
